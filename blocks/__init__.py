"""The adapters: Prefect blocks that are also made from plain values.

`prefect block register -m canary.blocks` makes their types known to a Prefect server.
"""

from canary.blocks.envoy import EnvoyRoute
from canary.blocks.flags import FlagService
from canary.blocks.fly import FlyApp
from canary.blocks.global_config import GlobalConfig
from canary.blocks.grafana import GrafanaServer
from canary.blocks.prometheus import PrometheusServer
from canary.blocks.scraper import MetricsScraper
from canary.blocks.slack import Slack
from canary.blocks.terminal import Terminal
from canary.blocks.token import ApiToken
from canary.blocks.vercel import VercelProject

__all__ = [
    "ApiToken",
    "EnvoyRoute",
    "FlagService",
    "FlyApp",
    "GlobalConfig",
    "GrafanaServer",
    "MetricsScraper",
    "PrometheusServer",
    "Slack",
    "Terminal",
    "VercelProject",
]
