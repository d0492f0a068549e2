"""What acme runs on AWS. Quantities are thousandths per day in the last month; see `usage.Pattern`."""

from __future__ import annotations

from apportion.demo.acme.company import model_owner as model
from apportion.demo.acme.company import pool
from apportion.demo.acme.company import project_owner as project
from apportion.demo.acme.usage import Pattern, Resource

PROD, DEV, SHARED = "111122223333", "012345678901", "777788889999"
"""The accounts; the leading zero is one that spreadsheets like to lose. The shared account pays for all."""

ACCOUNT_NAMES = {PROD: "acme-ml-prod", DEV: "acme-ml-dev", SHARED: "acme-shared"}

_M, _W, _B = Pattern.MACHINES, Pattern.WORKDAYS, Pattern.BURST

ENDPOINTS = (
    Resource("fraud-bert-prod", "host g5", PROD, model("fraud-bert", "prod"), "clean", 5_000, _M),
    Resource("fraud-gbm-prod", "host c6i", PROD, model("fraud-gbm", "prod"), "suffixed", 6_000, _M),
    Resource("face-match-prod", "host g5", PROD, model("face-match", "prod"), "capital", 4_000, _M),
    Resource("doc-ocr-prod", "host g5.2", PROD, model("doc-ocr", "prod"), "none", 3_000, _M),
    Resource("auth-router-prod", "host c6i", PROD, model("auth-router", "prod"), "clean", 14_000, _M),
    Resource("route-bandit-prod", "host c6i", PROD, model("route-bandit", "prod"), "short", 4_000, _M),
    Resource("dispute-t5-prod", "host g5", PROD, model("dispute-t5", "prod"), "clean", 3_000, _M),
    Resource("dispute-llm-prod", "host g5.12", PROD, model("dispute-llm", "prod"), "model", 2_000, _M),
    Resource("merchant-embed-prod", "host g5", PROD, model("merchant-embed", "prod"), "spaced", 3_000, _M),
    Resource("collect-rank-prod", "host c6i", PROD, model("collect-rank", "prod"), "clean", 3_000, _M),
    Resource("scoring-api", "host c6i", PROD, model("credit-xgb", "prod"), "name", 5_000, _M),
    Resource("device-graph-staging", "host g5", DEV, model("device-graph", "staging"), "suffixed", 1_000, _M),
)

TRAINING = (
    Resource("fraud-bert", "train p4d", DEV, model("fraud-bert", "dev"), "clean", 8_000, _B),
    Resource("face-match", "train g5.12", DEV, model("face-match", "dev"), "capital", 22_000, _B),
    Resource("doc-ocr", "train g5.12", DEV, model("doc-ocr", "dev"), "none", 26_000, _B),
    Resource("auth-router", "train g5.2", DEV, model("auth-router", "dev"), "suffixed", 12_000, _B),
    Resource("merchant-embed", "train g5.12", DEV, model("merchant-embed", "dev"), "look-alike", 14_000, _B),
    Resource("dispute-llm", "train p4d", DEV, model("dispute-llm", "dev"), "clean", 10_000, _B),
    Resource("dispute-t5", "train g5.12", DEV, model("dispute-t5", "dev"), "clean", 9_000, _B),
    Resource("credit-xgb", "train m5", DEV, model("credit-xgb", "dev"), "short", 9_000, _B),
    Resource("demand-tft", "train g5.12", DEV, model("demand-tft", "dev"), "mailbox", 18_000, _B),
    Resource("device-graph-gpu", "g5.12 spot", DEV, model("device-graph", "dev"), "clean", 40_000, _B),
    Resource("route-bandit-sim", "g5.12 spot", DEV, model("route-bandit", "dev"), "empty", 30_000, _B),
    Resource("income-llm-pretrain", "p4d spot", DEV, model("income-llm", "dev"), "clean", 30_000, _B),
    Resource("sweep-box", "p4d", DEV, model("fraud-bert", "dev"), "name", 7_000, _B),
)

NOTEBOOKS = (
    Resource("nb-risk-anna", "notebook gpu", DEV, project("fraud", "dev"), "mailbox", 9_000, _W),
    Resource("nb-risk-ben", "notebook", DEV, project("identity", "dev"), "clean", 8_000, _W),
    Resource("nb-payments-chen", "notebook gpu", DEV, project("routing", "dev"), "mailbox", 8_500, _W),
    Resource("nb-lending-dora", "notebook", DEV, project("credit-scoring", "dev"), "capital", 7_500, _W),
    Resource("nb-merchant-mia", "notebook", DEV, project("insights", "dev"), "none", 8_000, _W),
)

NODES = (
    Resource("ng-g5-1", "g5.12", PROD, pool("node"), "cluster", 1_000, Pattern.SLEEPS_SUNDAY),
    Resource("ng-g5-2", "g5.12", PROD, pool("node"), "cluster", 1_000, Pattern.SLEEPS_SUNDAY),
    Resource("ng-g5-3", "g5.12", PROD, pool("node"), "cluster", 1_000, _M),
    Resource("ng-p4d-1", "p4d", PROD, pool("node"), "cluster", 16_000, _W),
    Resource("ng-p5-1", "p5", PROD, pool("node"), "cluster", 6_000, _W),
)
"""The machines of the Kubernetes cluster acme-ml: their charges carry the cluster's tags only."""

PLANNED_NODES = frozenset({"ng-g5-1", "ng-g5-2"})
"""The nodes that the savings plan covers (and their copies)."""

STORAGE = (
    Resource("acme-fraud-features", "s3", PROD, project("fraud", "prod"), "clean", 1_100_000),
    Resource("acme-fraud-features", "s3 put", PROD, project("fraud", "prod"), "clean", 2_400_000_000),
    Resource("acme-fraud-features", "s3 get", PROD, project("fraud", "prod"), "clean", 9_000_000_000),
    Resource("acme-identity-raw", "s3", PROD, project("identity", "prod"), "capital", 2_200_000),
    Resource("acme-merchant-events", "s3", PROD, project("insights", "prod"), "empty", 1_600_000),
    Resource("acme-routing-logs", "s3", PROD, project("routing", "prod"), "project", 900_000),
    Resource("acme-model-registry", "s3", PROD, pool("storage"), "none", 1_400_000),
    Resource("acme-model-registry", "s3 get", PROD, pool("storage"), "none", 1_750),
    Resource("acme-datalake", "s3", SHARED, pool("storage"), "environment", 3_000_000),
    Resource("scratch-dev", "ebs", DEV, project("fraud", "dev"), "look-alike", 60_000),
    Resource("graph-cache", "ebs", DEV, model("device-graph", "dev"), "clean", 90_000),
    Resource("scoring-images", "ecr", SHARED, project("credit-scoring", "prod"), "project", 30_000),
)

SHARED_SERVICES = (
    Resource("acme-ml", "eks", PROD, pool("cluster"), "cluster", 1_000, _M),
    Resource("nat-prod", "nat hours", PROD, pool("network"), "none", 2_000, _M),
    Resource("nat-prod", "nat bytes", PROD, pool("network"), "none", 850_000),
    Resource("ingress-alb", "egress", PROD, pool("network"), "none", 420_000),
    Resource("ingress-alb", "ingress", PROD, pool("network"), "none", 380_000),
    Resource("mesh", "between zones", PROD, pool("network"), "none", 1_900_000),
    Resource("acme-prod-metrics", "metrics", SHARED, pool("monitoring"), "none", 90_000),
    Resource("acme-prod-logs", "logs", SHARED, pool("monitoring"), "none", 140_000),
    Resource("grafana", "m6i", SHARED, pool("monitoring"), "suffixed", 2_000, _M),
    Resource("drift-watch-prod", "host g5", PROD, model("drift-watch", "prod"), "clean", 1_000, _M),
    Resource("tokens-vault", "kms", SHARED, project("routing", "prod"), "short", 230),
)

FOUNDATION = (
    Resource("doc-ocr-extract", "claude in", PROD, model("doc-ocr", "prod"), "model", 26_000),
    Resource("doc-ocr-extract", "claude out", PROD, model("doc-ocr", "prod"), "model", 3_200),
    Resource("dispute-letters", "nova in", PROD, model("dispute-llm", "prod"), "clean", 48_000_000),
    Resource("dispute-letters", "nova out", PROD, model("dispute-llm", "prod"), "clean", 9_000_000),
)
"""Models of others, called through Bedrock; Anthropic's are billed by the marketplace, in millions of tokens."""

RESOURCES = (*ENDPOINTS, *TRAINING, *NOTEBOOKS, *STORAGE, *SHARED_SERVICES, *FOUNDATION)
"""All but the cluster's nodes."""
