"""acme's `apportion.toml`: what its ML platform team has written down about whose cost is whose."""

from __future__ import annotations

from apportion.demo.acme.company import MODELS, PROJECTS, TEAM_CODES, TEAMS

_HEAD = """\
# acme's own configuration. The company is invented; the untidiness is not.

[project]
name = "acme"
currency = "USD"

[[sources]]
id = "aws"
kind = "aws_cur"          # a CUR 2.0 export: the folder is read through its manifests
paths = ["bills/aws"]

[[sources]]
id = "gcp"
kind = "gcp_billing"
paths = ["bills/gcp"]

[[sources]]
id = "azure"
kind = "azure_usage"
paths = ["bills/azure"]

[[sources]]
id = "llm"
kind = "focus"            # what the gateway says OpenAI and Anthropic billed, per API key
paths = ["bills/llm"]
"""

METERS = """
[[sources]]
id = "cluster"            # whose pods held how much of which node
kind = "opencost"
paths = ["meters/opencost"]

[[sources]]
id = "runs"               # which experiment and whose training run it was
kind = "mlflow"
paths = ["meters/mlflow"]

[[sources]]
id = "gateway"            # who called through which API key
kind = "llm"
paths = ["meters/llm"]

[[sources]]
id = "usage"              # requests, machines and disks of what acme's clouds run by name
kind = "usage_file"
paths = ["meters/usage"]
options.complete = true   # the files name all that ran there: nothing of those machines is unmetered
"""
"""The meters."""

_TAGS = """
[tags.keys]               # the first key that a resource has wins; case and - or _ do not matter
team = ["team", "ml-team", "owner"]
project = ["project"]
model = ["model"]
environment = ["environment", "env", "stage"]

[tags.values.environment]
production = "prod"
prd = "prod"
stage = "staging"
stg = "staging"
development = "dev"
"""

_RULES = """
[tags.policy]
required = ["team", "environment"]

[tags.policy.allowed]
environment = ["prod", "staging", "dev"]

[[tags.policy.cases]]
when = { environment = "prod" }
required = ["model"]

# What the tags do not say, rules say: in this order, the first that answers a dimension.

[[rules]]
id = "cluster-nodes"      # shared by all; metering will divide them among the jobs that ran on them
when = { tags_match = { "eks:cluster-name" = "^acme-ml$" } }
set = { team = "platform", project = "ml-platform", environment = "prod" }

[[rules]]
id = "sagemaker-by-name"  # endpoints and jobs are named after their model
when = { service = "Amazon SageMaker", resource_name_matches = "^doc-ocr" }
set = { model = "doc-ocr" }

[[rules]]
id = "voice-pilot"        # the pilot ran without tags until it had a name
when = { provider = "Google Cloud", resource_name_matches = "^voice-asr" }
valid_from = 2026-08-01
set = { model = "voice-asr" }

[[rules]]
id = "scoring-api"        # one endpoint answers for two models; agreed shares
when = { resource_name = "scoring-api" }
split = [{ weight = 70, model = "credit-xgb" }, { weight = 30, model = "collect-rank" }]

[[rules]]
id = "risk-notebooks"
when = { resource_name_matches = "^nb-risk-" }
set = { team = "risk", environment = "dev" }

[[rules]]
id = "savings-plan"       # bought for the cluster's nodes
when = { service = "ComputeSavingsPlans" }
set = { team = "platform", project = "ml-platform" }

[[rules]]
id = "network-and-logs"
when = { resource_name_matches = "^(nat-|ingress|mesh|gateway-ip|acme-prod-|acme-logs|audit-logs|assistant-egress)" }
set = { team = "platform", project = "ml-platform" }

[maps.accounts]           # whole accounts and projects, where nothing better is known
"acme-assistant" = { team = "assistant" }
"acme-vision-prod" = { team = "risk", environment = "prod" }

[maps.resource_groups]
"rg-lending-prod" = { environment = "prod" }
"rg-lending-dev" = { environment = "dev" }
"rg-shared" = { team = "platform" }
"""

_POOLS = """
# What all share, pools give to the models: each says which cost it takes and what it is divided by.

[[pools]]
id = "idle"               # capacity of the cluster that nobody used: by what each job had of the same node
use = "idle"

[[pools]]
id = "savings-plan"       # bought by the platform team for all: by the cost it covered
when = { service = "ComputeSavingsPlans" }
basis_when = { commitment_status = "Used" }

[[pools]]
id = "network"
when = { team = ["platform", "unallocated"], sku_meter_matches = "NatGateway|DataTransfer|Public IP|Egress" }
within = ["provider"]
leftover = "wider"

[[pools]]
id = "monitoring"
when = { team = ["platform", "unallocated"], service_category = "Management and Governance" }
within = ["provider"]
leftover = "wider"

[[pools]]
id = "storage"            # the data lake and the registry
when = { team = "unallocated", resource_id_matches = "^acme-(datalake|model-registry)$" }
within = ["provider"]

[[pools]]
id = "platform"           # the platform team's own machines and services, but not its model
use = "platform"

[[pools]]
id = "support"
use = "support"

[[pools]]
id = "credits"
use = "credits"

[[pools]]
id = "tax"
use = "tax"

[[pools]]
id = "small"              # a request to a key store, a rounding
stage = 9
when = { team = "unallocated", service = ["awskms", "Rounding"] }
"""


def text() -> str:
    """The whole file."""
    teams = [f'{code} = "{team}"' for team, code in TEAM_CODES.items()]
    teams += [f'{team}-team = "{team}"' for team in TEAMS]
    units = [f'{team} = "{unit}"' for team, unit in TEAMS.items()]
    models = [f'{name} = {{ team = "{PROJECTS[m.project]}", project = "{m.project}" }}' for name, m in MODELS.items()]
    parts = [
        _HEAD + METERS + _TAGS,
        "[tags.values.team]         # finance's codes and the suffix some people add",
        *teams,
        "\n[hierarchy.teams]          # team -> business unit",
        *units,
        "\n[hierarchy.models]         # who owns a model; a model tag alone then names team and project too",
        *models,
        _RULES + _POOLS,
    ]
    return "\n".join(parts)
