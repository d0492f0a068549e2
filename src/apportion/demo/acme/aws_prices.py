"""What acme buys from AWS in us-east-1, at public list prices."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

D = Decimal


@dataclass(frozen=True, slots=True)
class AwsSku:
    """One price of AWS. `arn` is the form of the resource ids, with {account}, {name} and {hex} to be filled.

    `paid` is the price acme pays where it is not the list price (spot), `seller` another company on the marketplace.
    """

    code: str
    product: str
    usage_type: str
    operation: str
    family: str
    unit: str
    price: Decimal
    arn: str
    instance: str | None = None
    paid: Decimal | None = None
    seller: str | None = None


_SM = "arn:aws:sagemaker:us-east-1:{account}:"


def _host(instance: str, price: str) -> AwsSku:
    return AwsSku(
        "AmazonSageMaker", "Amazon SageMaker", f"USE1-Host:{instance}", "RunInstance", "ML Instance", "Hrs",
        D(price), _SM + "endpoint/{name}", instance,
    )  # fmt: skip


def _train(instance: str, price: str) -> AwsSku:
    return AwsSku(
        "AmazonSageMaker", "Amazon SageMaker", f"USE1-Train:{instance}", "RunInstance", "ML Instance", "Hrs",
        D(price), _SM + "training-job/{name}", instance,
    )  # fmt: skip


def _notebook(instance: str, price: str) -> AwsSku:
    return AwsSku(
        "AmazonSageMaker", "Amazon SageMaker", f"USE1-Notebk:{instance}", "RunInstance", "ML Instance", "Hrs",
        D(price), _SM + "notebook-instance/{name}", instance,
    )  # fmt: skip


def _box(instance: str, price: str, paid: str | None = None) -> AwsSku:
    kind = "SpotUsage" if paid else "BoxUsage"
    return AwsSku(
        "AmazonEC2", "Amazon Elastic Compute Cloud", f"{kind}:{instance}",
        "RunInstances:SV001" if paid else "RunInstances",
        "Compute Instance", "Hrs", D(price), "i-0{hex}", instance, D(paid) if paid else None,
    )  # fmt: skip


def _tokens(usage_type: str, price: str, seller: str | None = None) -> AwsSku:
    code = "8kbq2nx8qn5pd6ecbqt79vcv" if seller else "AmazonBedrock"
    product = "Claude Sonnet 4 (Amazon Bedrock Edition)" if seller else "Amazon Bedrock"
    return AwsSku(
        code, product, usage_type, "InvokeModelInference", "" if seller else "Amazon Bedrock",
        "Units" if seller else "1K tokens", D(price),
        "arn:aws:bedrock:us-east-1:{account}:application-inference-profile/{name}", None, None, seller,
    )  # fmt: skip


def _plain(words: str, price: str, arn: str) -> AwsSku:
    code, product, usage_type, operation, family, unit = words.split("|")
    return AwsSku(code, product, usage_type, operation, family, unit, D(price), arn)


_S3 = "AmazonS3|Amazon Simple Storage Service|"
_EC2 = "AmazonEC2|Amazon Elastic Compute Cloud|"
_VPC = "arn:aws:ec2:us-east-1:{account}:natgateway/{name}"

PRICES = {
    "host c6i": _host("ml.c6i.xlarge", "0.204"),
    "host g5": _host("ml.g5.xlarge", "1.408"),
    "host g5.2": _host("ml.g5.2xlarge", "1.515"),
    "host g5.12": _host("ml.g5.12xlarge", "7.09"),
    "train m5": _train("ml.m5.4xlarge", "0.922"),
    "train g5.2": _train("ml.g5.2xlarge", "1.515"),
    "train g5.12": _train("ml.g5.12xlarge", "7.09"),
    "train p4d": _train("ml.p4d.24xlarge", "37.688"),
    "notebook": _notebook("ml.t3.xlarge", "0.2"),
    "notebook gpu": _notebook("ml.g4dn.xlarge", "0.7364"),
    "m6i": _box("m6i.2xlarge", "0.384"),
    "g5": _box("g5.xlarge", "1.006"),
    "g5.12": _box("g5.12xlarge", "5.672"),
    "p4d": _box("p4d.24xlarge", "32.7726"),
    "p5": _box("p5.48xlarge", "55.04"),
    "g5.12 spot": _box("g5.12xlarge", "5.672", "2.2688"),
    "p4d spot": _box("p4d.24xlarge", "32.7726", "11.5104"),
    "eks": _plain(
        "AmazonEKS|Amazon Elastic Container Service for Kubernetes|USE1-AmazonEKS-Hours:perCluster"
        "|CreateOperation|Compute|Hours",
        "0.1", "arn:aws:eks:us-east-1:{account}:cluster/{name}",
    ),
    "ebs": _plain(_EC2 + "EBS:VolumeUsage.gp3|CreateVolume-Gp3|Storage|GB-Mo", "0.08", "vol-0{hex}"),
    "nat hours": _plain(_EC2 + "NatGateway-Hours|NatGateway|NAT Gateway|Hrs", "0.045", _VPC),
    "nat bytes": _plain(_EC2 + "NatGateway-Bytes|NatGateway|NAT Gateway|GB", "0.045", _VPC),
    "egress": _plain(_EC2 + "DataTransfer-Out-Bytes|RunInstances|Data Transfer|GB", "0.09", "i-0{hex}"),
    "between zones": _plain(_EC2 + "DataTransfer-Regional-Bytes|InterZone-In|Data Transfer|GB", "0.01", "i-0{hex}"),
    "ingress": _plain(_EC2 + "DataTransfer-In-Bytes|RunInstances|Data Transfer|GB", "0", "i-0{hex}"),
    "s3": _plain(_S3 + "TimedStorage-ByteHrs|StandardStorage|Storage|GB-Mo", "0.023", "{name}"),
    "s3 put": _plain(_S3 + "Requests-Tier1|PutObject|API Request|Requests", "0.000005", "{name}"),
    "s3 get": _plain(_S3 + "Requests-Tier2|GetObject|API Request|Requests", "0.0000004", "{name}"),
    "ecr": _plain(
        "AmazonECR|Amazon EC2 Container Registry (ECR)|TimedStorage-ByteHrs||EC2 Container Registry|GB-Mo",
        "0.1", "arn:aws:ecr:us-east-1:{account}:repository/{name}",
    ),
    "kms": _plain(
        "awskms|AWS Key Management Service|us-east-1-KMS-Requests|Decrypt|API Request|Requests",
        "0.000003", "arn:aws:kms:us-east-1:{account}:key/{name}",
    ),
    "metrics": _plain(
        "AmazonCloudWatch|AmazonCloudWatch|CW:MetricMonitorUsage|MetricStorage|Metric|Metrics",
        "0.3", "arn:aws:cloudwatch:us-east-1:{account}:metric/{name}",
    ),
    "logs": _plain(
        "AmazonCloudWatch|AmazonCloudWatch|DataProcessing-Bytes|PutLogEvents|Data Payload|GB",
        "0.5", "arn:aws:logs:us-east-1:{account}:log-group:{name}",
    ),
    "nova in": _tokens("USE1-NovaPro-input-tokens", "0.0008"),
    "nova out": _tokens("USE1-NovaPro-output-tokens", "0.0032"),
    "claude in": _tokens("USE1-MP:USE1_InputTokenCount-Units", "3", "Anthropic, PBC"),
    "claude out": _tokens("USE1-MP:USE1_OutputTokenCount-Units", "15", "Anthropic, PBC"),
}  # fmt: skip
"""Name in the plan -> what AWS sells."""
