# ruff: noqa: RUF001 - letters that look alike are tested
from __future__ import annotations

import json

import pytest
from tests.tagging.bills import config

from apportion.core.config import PolicyCase, TagPolicy
from apportion.errors import UnknownShape
from apportion.tagging.plan_check import check_plan, read_plan
from apportion.tagging.plans.cloudformation import tag_properties

POLICY = config(
    values={"environment": {"production": "prod"}},
    policy=TagPolicy(
        required=("team",),
        allowed={"team": ("search", "vision"), "environment": ("prod", "dev")},
        cases=(PolicyCase({"environment": ("prod",)}, ("model",)),),
    ),
)


def written(tmp_path, content, name):
    path = tmp_path / name
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def told(found):
    return [(one.resource, one.code, one.dimension) for one in found]


# --- Terraform ------------------------------------------------------------


def change(address, after, *, unknown=None, actions=("create",), mode="managed"):
    kind = address.split(".")[-2]
    body = {"actions": list(actions), "before": None, "after": after, "after_unknown": unknown or {}}
    return {"address": address, "mode": mode, "type": kind, "name": "x", "provider_name": "p", "change": body}


def terraform(tmp_path, changes, *, configuration=None, variables=None):
    plan = {"format_version": "1.2", "resource_changes": changes, "configuration": configuration or {}}
    return written(tmp_path, plan | {"variables": variables or {}}, "plan.json")


def provider(tags, *, key="aws", users=(), name="aws", block="default_tags", inner="tags"):
    body = tags if inner is None else {inner: tags}
    resources = [{"address": address, "provider_config_key": key} for address in users]
    return {
        "provider_config": {key: {"name": name, "expressions": {block: [body] if inner else body}}},
        "root_module": {"resources": resources},
    }


def test_a_terraform_plan_by_hand(tmp_path):
    changes = [
        change("aws_instance.good", {"tags": None, "tags_all": {"Team": "Search"}}),
        change("aws_instance.bare", {"tags": None}, unknown={"tags_all": {}}),
        change("aws_instance.other", {"tags": {"team": "finance", "env": "Production"}, "tags_all": None}),
        change("aws_iam_role_policy_attachment.none", {"role": "r"}),
        change("aws_s3_bucket.gone", None, actions=("delete",)),
        change("aws_s3_bucket.same", {"tags": None}, actions=("no-op",)),
        change("aws_s3_bucket.again", {"tags": {}}, actions=("delete", "create")),
        change("data.aws_ami.read", {"tags": {}}, actions=("read",), mode="data"),
    ]
    found = check_plan(terraform(tmp_path, changes), POLICY)
    assert told(found) == [
        ("aws_instance.bare", "missing", "team"),
        ("aws_instance.other", "missing", "model"),
        ("aws_instance.other", "not-allowed", "team"),
        ("aws_s3_bucket.again", "missing", "team"),
    ]
    assert (found[0].what, found[0].fix) == ("has no tag for team, which is required", "Add team to tags.")
    assert found[1].what == "has no tag for model, which is required where environment is prod"
    assert (found[2].what, found[2].fix) == ("'finance' is no allowed team", "Allowed: search, vision.")
    assert {(one.file, one.line) for one in found} == {(str(tmp_path / "plan.json"), None)}
    assert found[0].kind == "aws_instance"


@pytest.mark.parametrize(
    ("after", "unknown"),
    [
        ({"tags": {}}, {"tags": {"team": True}}),
        ({"tags": {}}, {"tags_all": {"Team": True}}),
        ({}, {"tags": True, "tags_all": True}),
        ({"tags": {"team": None}}, {}),
    ],
)
def test_a_tag_known_only_later_is_not_missing(tmp_path, after, unknown):
    assert check_plan(terraform(tmp_path, [change("aws_instance.a", after, unknown=unknown)]), POLICY) == ()


@pytest.mark.parametrize(
    ("tags", "variables", "expected"),
    [
        ({"constant_value": {"team": "search"}}, {}, []),
        ({"constant_value": {"env": "dev"}}, {}, ["missing"]),
        ({"references": ["var.tags"]}, {"tags": {"value": {"team": "zzz"}}}, ["not-allowed"]),
        ({"references": ["var.tags"]}, {"tags": {"value": {}}}, ["missing"]),
        ({"references": ["local.tags"]}, {}, []),
        ({"references": ["var.a", "var.b"]}, {}, []),
    ],
)
def test_default_tags_count_where_the_plan_does_not_know_all_tags(tmp_path, tags, variables, expected):
    changes = [change("aws_instance.a[0]", {"tags": None}, unknown={"tags_all": True})]
    plan = terraform(tmp_path, changes, configuration=provider(tags, users=["aws_instance.a"]), variables=variables)
    assert [one.code for one in check_plan(plan, POLICY)] == expected


def test_default_tags_of_another_provider_do_not_count(tmp_path):
    changes = [change("aws_instance.a", {"tags": None}, unknown={"tags_all": True})]
    configuration = provider({"constant_value": {"team": "search"}}, key="aws.west", users=["aws_instance.b"])
    assert told(check_plan(terraform(tmp_path, changes, configuration=configuration), POLICY))


def test_default_tags_reach_resources_in_modules(tmp_path):
    address = 'module.net["a.b"].module.deep.aws_instance.a["k"]'
    configuration = provider({"constant_value": {"team": "search"}})
    deep = {"module": {"resources": [{"address": "aws_instance.a", "provider_config_key": "aws"}]}}
    configuration["root_module"] = {"module_calls": {"net": {"module": {"module_calls": {"deep": deep}}}}}
    changes = [change("aws_instance.a", {"tags": None}, unknown={"tags_all": True}) | {"address": address}]
    assert check_plan(terraform(tmp_path, changes, configuration=configuration), POLICY) == ()


def test_an_autoscaling_group_has_tag_blocks_and_no_default_tags(tmp_path):
    pairs = [{"key": "team", "value": "vision", "propagate_at_launch": True}]
    changes = [
        change("aws_autoscaling_group.a", {"tag": pairs}),
        change("aws_autoscaling_group.b", {"tag": []}),
    ]
    users = ["aws_autoscaling_group.a", "aws_autoscaling_group.b"]
    configuration = provider({"constant_value": {"team": "search"}}, users=users)
    found = check_plan(terraform(tmp_path, changes, configuration=configuration), POLICY)
    assert told(found) == [("aws_autoscaling_group.b", "missing", "team")]
    assert found[0].fix == "Add team to tag."


def test_googles_labels_count_and_its_network_tags_do_not(tmp_path):
    changes = [
        change("google_compute_instance.a", {"tags": ["http"], "labels": {"team": "search"}}),
        change("google_compute_instance.b", {"tags": ["http"], "labels": None, "effective_labels": {"team": "vision"}}),
        change("google_compute_instance.c", {"tags": ["http"], "labels": None}, unknown={"effective_labels": True}),
        change("google_compute_firewall.d", {"tags": ["team"]}),
    ]
    found = check_plan(terraform(tmp_path, changes), POLICY)
    assert told(found) == [("google_compute_instance.c", "missing", "team")]
    configuration = provider(
        {"constant_value": {"team": "search"}},
        key="google",
        name="google",
        block="default_labels",
        inner=None,
        users=["google_compute_instance.c"],
    )
    assert check_plan(terraform(tmp_path, changes, configuration=configuration), POLICY) == ()


def test_resources_of_providers_without_tags_are_not_looked_at(tmp_path):
    changes = [change("random_id.a", {"tags": None}), change("datadog_monitor.b", {"tags": ["team:x"]})]
    assert read_plan(terraform(tmp_path, changes)) == ()


def test_a_plan_without_changes_is_read_by_its_planned_values(tmp_path):
    child = {
        "resources": [
            {
                "address": "module.m.azurerm_virtual_machine.b",
                "type": "azurerm_virtual_machine",
                "mode": "managed",
                "values": {"tags": {"team": "search"}},
            }
        ]
    }
    root = {
        "resources": [
            {"address": "azurerm_virtual_machine.a", "type": "azurerm_virtual_machine", "values": {"tags": None}},
            {"address": "data.azurerm_image.i", "type": "azurerm_image", "mode": "data", "values": {"tags": None}},
        ],
        "child_modules": [child],
    }
    plan = written(tmp_path, {"format_version": "1.2", "planned_values": {"root_module": root}}, "p.json")
    assert [one.address for one in read_plan(plan)] == [
        "azurerm_virtual_machine.a",
        "module.m.azurerm_virtual_machine.b",
    ]
    assert told(check_plan(plan, POLICY)) == [("azurerm_virtual_machine.a", "missing", "team")]


def test_kubernetes_in_terraform_is_judged_by_its_pods(tmp_path):
    def meta(labels):
        return [{"name": "x", "labels": labels}]

    job = {"template": [{"metadata": meta({"team": "search"}), "spec": [{}]}]}
    changes = [
        change(
            "kubernetes_deployment_v1.a",
            {"metadata": meta({"team": "search"}), "spec": [{"template": [{"metadata": meta(None)}]}]},
        ),
        change("kubernetes_cron_job_v1.b", {"spec": [{"job_template": [{"metadata": [], "spec": [job]}]}]}),
        change("kubernetes_pod.c", {"metadata": meta({"team": "vision"}), "spec": [{}]}),
        change("kubernetes_secret.d", {"metadata": meta(None)}),
        change("kubernetes_manifest.e", {"manifest": {"kind": "Pod", "metadata": {"name": "p"}}}),
    ]
    found = check_plan(terraform(tmp_path, changes), POLICY)
    assert told(found) == [
        ("kubernetes_deployment_v1.a", "missing", "team"),
        ("kubernetes_manifest.e", "missing", "team"),
    ]
    assert found[0].fix == "Add team to spec.template.metadata.labels."
    assert found[1].fix == "Add team to manifest.metadata.labels."


# --- CloudFormation ------------------------------------------------------------

TEMPLATE = """\
AWSTemplateFormatVersion: '2010-09-09'
Globals:
  Function:
    Tags: {team: vision}
Parameters:
  Team: {Type: String}
Resources:
  Bare:
    Type: AWS::S3::Bucket
  Referenced:
    Type: AWS::SageMaker::NotebookInstance
    Properties:
      Tags:
        - {Key: team, Value: !Ref Team}
  Wrong:
    Type: AWS::EC2::Instance
    Properties:
      ImageId: ami-1
      Tags:
        - Key: team
          Value: serach
  Conditional:
    Type: AWS::EC2::Volume
    Properties:
      Tags:
        - !If [IsProd, {Key: team, Value: x}, !Ref AWS::NoValue]
  AllElsewhere:
    Type: AWS::EC2::Volume
    Properties:
      Tags: !FindInMap [A, B, C]
  Files:
    Type: AWS::EFS::FileSystem
    Properties:
      FileSystemTags:
        - {Key: team, Value: search}
  Untaggable:
    Type: AWS::IAM::Policy
    Properties: {PolicyName: x}
  Custom:
    Type: Custom::Thing
  Mapped:
    Type: AWS::SSM::Parameter
    Properties:
      Tags: {team: search, env: !Sub '${Stage}'}
  Handler:
    Type: AWS::Serverless::Function
  Broken: 7
"""


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


# --- Kubernetes ------------------------------------------------------------

MANIFESTS = """\
apiVersion: apps/v1
kind: Deployment
metadata:
  name: api
  namespace: prod
  labels: {team: search}
spec:
  template:
    metadata:
      labels:
        app: api
    spec:
      containers: [{name: a}]
---
apiVersion: ray.io/v1
kind: RayCluster
metadata: {name: ray}
spec:
  headGroupSpec:
    template:
      metadata: {labels: {team: search}}
      spec: {containers: []}
  workerGroupSpecs:
    - template:
        spec: {containers: []}
---
apiVersion: v1
kind: Secret
metadata: {name: s}
---
apiVersion: v1
kind: Service
metadata: {name: inside}
spec: {type: ClusterIP}
---
apiVersion: v1
kind: Service
metadata: {name: outside}
spec: {type: LoadBalancer}
---
apiVersion: v1
kind: List
items:
  - apiVersion: v1
    kind: PersistentVolumeClaim
    metadata: {generateName: disk-, labels: {team: sеarch}}
"""


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


# --- any ------------------------------------------------------------


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


ODD = [None, 1, "x", [], {}, [None], {"a": None}, [["x"]]]


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
