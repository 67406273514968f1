"""What a local server was asked, for people: counted by method and path template."""

from __future__ import annotations

from canary.sandbox.platforms.asked import counted
from canary.testing.fly import FlyServer
from canary.testing.global_config import GlobalConfigs
from canary.testing.provider import Asked
from canary.testing.slack import SlackServer
from canary.testing.vercel import Vercel


def asked(method: str, path: str) -> Asked:
    return Asked(method, path, {}, {}, b"")


def test_requests_about_different_machines_are_of_one_kind() -> None:
    """An id is a name in braces; what is asked most comes first."""
    machines = "/v1/apps/docflow-api/machines"
    log = [asked("POST", machines), *(asked("POST", f"{machines}/{n}/lease") for n in range(3))]
    assert list(counted(log, FlyServer().routes()).items()) == [
        (f"POST {machines}/{{machine}}/lease", 3),
        (f"POST {machines}", 1),
    ]


def test_versions_verbs_and_names_of_an_api_are_shown_as_they_came() -> None:
    """They say what is asked; a project's id and its name are both the project."""
    log = [asked("GET", "/v9/projects/prj_docflow"), asked("GET", "/v9/projects/docflow")]
    log += [asked("POST", "/v1/projects/docflow/rollback/dpl_stable")]
    assert counted(log, Vercel().routes()) == {
        "GET /v9/projects/{project}": 2,
        "POST /v1/projects/{project}/rollback/{id}": 1,
    }
    configs = [asked("GET", "/v1/edge-config/ecfg_docflow")]
    assert counted(configs, GlobalConfigs().routes()) == {"GET /v1/edge-config/ecfg_docflow": 1}
    slack = [asked("POST", "/api/chat.postMessage"), asked("GET", "/api/conversations.info")]
    assert [*counted(slack, SlackServer().routes())] == ["POST /api/chat.postMessage", "GET /api/conversations.info"]


def test_what_no_route_takes_is_counted_as_such() -> None:
    """A wrong method too: it is in the log, and so among the counts."""
    log = [asked("GET", "/"), asked("PUT", "/v1/apps/docflow-api/machines")]
    assert counted(log, FlyServer().routes()) == {
        "GET (a path that is not spoken here)": 1,
        "PUT (a path that is not spoken here)": 1,
    }
