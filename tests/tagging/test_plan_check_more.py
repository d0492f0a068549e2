from __future__ import annotations

import json

import pytest
from tests.tagging.plan_texts import MANIFESTS, ODD, POLICY, TEMPLATE, change, terraform, told, written

from apportion.errors import UnknownShape
from apportion.tagging.plan_check import check_plan, read_plan
from apportion.tagging.plans.cloudformation import tag_properties


def test_a_cloudformation_template_by_hand(tmp_path):
    found = check_plan(written(tmp_path, TEMPLATE, "t.yaml"), POLICY)
    assert told(found) == [("Bare", "missing", "team"), ("Wrong", "not-allowed", "team")]
    assert (found[0].fix, found[0].line, found[0].kind) == ("Add team to Properties.Tags.", 9, "AWS::S3::Bucket")
    assert (found[1].line, found[1].fix) == (19, "Did you mean 'search'? Allowed: search, vision.")


def test_a_template_in_json_is_the_same_without_lines(tmp_path):
    template = {
        "Resources": {
            "Bare": {"Type": "AWS::EFS::FileSystem", "Properties": {}},
            "Referenced": {
                "Type": "AWS::EC2::Instance",
                "Properties": {"Tags": [{"Key": "team", "Value": {"Ref": "Team"}}]},
            },
            "Elsewhere": {"Type": "AWS::EC2::Instance", "Properties": {"Fn::Transform": {"Name": "x"}}},
            "Merged": {"Type": "AWS::EC2::Instance", "Properties": {"Tags": {"Fn::If": ["a", [], []]}}},
        }
    }
    found = check_plan(written(tmp_path, template, "t.json"), POLICY)
    assert told(found) == [("Bare", "missing", "team")]
    assert (found[0].fix, found[0].line) == ("Add team to Properties.FileSystemTags.", None)


def test_the_types_that_can_carry_tags_are_those_of_the_schemas():
    found = tag_properties()
    assert len(found) == 1305
    assert found["AWS::EC2::Instance"] == found["AWS::SageMaker::Endpoint"] == "Tags"
    assert found["AWS::EFS::FileSystem"] == "FileSystemTags"
    assert "AWS::IAM::Policy" not in found
    assert "AWS::Lambda::Permission" not in found


def test_kubernetes_manifests_by_hand(tmp_path):
    found = check_plan(written(tmp_path, MANIFESTS, "m.yml"), POLICY)
    assert [(one.resource, one.code, one.line) for one in found] == [
        ("Deployment/prod/api", "missing", 10),
        ("RayCluster/ray", "missing", 25),
        ("Service/outside", "missing", 38),
        ("PersistentVolumeClaim/disk-", "look-alike", 46),
    ]
    assert found[0].fix == "Add team to spec.template.metadata.labels."
    assert found[1].fix == "Add team to spec.workerGroupSpecs[0].template.metadata.labels."
    assert found[3].what == r"team 's\u0435arch' looks like 'search' but has other letters"


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.json", "{}"),
        ("b.json", "[]"),
        ("c.yaml", ""),
        ("d.yaml", "a: 1"),
        ("e.yaml", "kind: Pod"),
        ("f.json", "null"),
    ],
)
def test_a_file_of_no_known_format_is_said_to_be_none(tmp_path, name, content):
    with pytest.raises(UnknownShape) as caught:
        check_plan(written(tmp_path, content, name), POLICY)
    assert str(caught.value) == (
        f"{tmp_path / name}: is none of cloudformation, kubernetes, terraform. Give the output of "
        "'terraform show -json PLAN', a CloudFormation template, or Kubernetes manifests."
    )


@pytest.mark.parametrize("odd", ODD)
@pytest.mark.parametrize(
    "place", ["changes", "change", "after", "tags", "provider", "module", "resource", "properties", "spec", "labels"]
)
def test_odd_shapes_are_read_without_a_crash(tmp_path, odd, place):
    good = change("aws_instance.a", {"tags": odd if place == "tags" else {}}, unknown={"tags_all": True})
    if place == "after":
        good["change"]["after"] = odd
    plan = {
        "format_version": "1",
        "resource_changes": odd if place == "changes" else [odd if place == "change" else good],
        "planned_values": {},
        "configuration": {"provider_config": {"aws": odd} if place == "provider" else {}, "root_module": odd},
    }
    read_plan(written(tmp_path, plan, "plan.json"))
    template = (
        {"AWSTemplateFormatVersion": "1", "Resources": {"A": odd}}
        if place == "resource"
        else {
            "AWSTemplateFormatVersion": "1",
            "Globals": odd,
            "Resources": {
                "A": {"Type": "AWS::EC2::Instance", "Properties": odd},
                "B": {"Type": "AWS::EC2::Instance", "Properties": {"Tags": odd}},
            },
        }
    )
    read_plan(written(tmp_path, template, "t.json"))
    manifest = {
        "apiVersion": "v1",
        "kind": "Deployment",
        "metadata": odd,
        "spec": odd if place == "spec" else {"template": {"spec": {"containers": []}, "metadata": {"labels": odd}}},
    }
    read_plan(written(tmp_path, manifest, "m.json"))


@pytest.mark.parametrize("name", ["p.yaml", "p.json"])
def test_half_a_letter_never_leaves_the_reader(tmp_path, name):
    labels = '{"team": "\\ud83d\\ude80\\udc00"}'
    pod = '{"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a\\ud800", "labels": ' + labels + "}}"
    (found,) = check_plan(written(tmp_path, pod, name), POLICY)
    assert found.resource == "Pod/a\ufffd"
    assert found.what == "'🚀\ufffd' is no allowed team"
    assert json.dumps([found.what, found.resource], ensure_ascii=False).encode()


def test_tags_that_satisfy_a_plan_satisfy_the_bill_in_any_spelling(tmp_path):
    after = {"tags": {" TEAM ": "Search ", "Environment": "PRODUCTION", "model": "x"}}
    assert check_plan(terraform(tmp_path, [change("azurerm_virtual_machine.a", after)]), POLICY) == ()
