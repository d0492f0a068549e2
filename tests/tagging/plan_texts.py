"""What the tests of test_plan_check share."""

# ruff: noqa: RUF001 - letters that look alike are tested
from __future__ import annotations

import json

from tests.tagging.bills import config

from apportion.core.config import PolicyCase, TagPolicy

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


ODD = [None, 1, "x", [], {}, [None], {"a": None}, [["x"]]]
