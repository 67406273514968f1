"""What Prometheus answers, as Grafana hands it on from /api/ds/query: one frame a series, columns in place of pairs.

Source: grafana/pkg/promlib (converter) and grafana-plugin-sdk-go (data.Frame as JSON).
"""

from __future__ import annotations

import math
from typing import Any

Body = dict[str, Any]
_INFINITE = {math.inf: "Inf", -math.inf: "NegInf"}


def response(ref: str, status: int, said: Body) -> Body:
    """The result of one query, from the status and body of Prometheus."""
    if said.get("status") != "success":
        return {"error": f"{said['errorType']}: {said['error']}", "errorSource": "downstream", "status": status}
    frames = [_frame(ref, series) for series in said["data"]["result"]]
    for frame in frames or [_empty(ref)]:
        if warnings := said.get("warnings"):
            frame["schema"]["meta"]["notices"] = [{"severity": "warning", "text": text} for text in warnings]
            frames = frames or [frame]
    return {"status": 200, "frames": frames}


def _empty(ref: str) -> Body:
    return {"schema": {"refId": ref, "meta": {}, "fields": []}, "data": {"values": []}}


def _frame(ref: str, series: Body) -> Body:
    pairs = series["values"] if "values" in series else [series["value"]]
    times = [round(at * 1000) for at, _ in pairs]
    values = [float(value) for _, value in pairs]
    fields = [
        {"name": "Time", "type": "time", "typeInfo": {"frame": "time.Time"}, "config": {"interval": 1000}},
        {"name": "Value", "type": "number", "typeInfo": {"frame": "float64"}, "labels": series["metric"], "config": {}},
    ]
    data: Body = {"values": [times, [value if math.isfinite(value) else None for value in values]]}
    if any(not math.isfinite(value) for value in values):
        data["entities"] = [None, _entities(values)]
    meta = {"type": "timeseries-multi", "typeVersion": [0, 1], "custom": {"resultType": "matrix"}}
    return {"schema": {"refId": ref, "meta": meta, "fields": fields}, "data": data}


def _entities(values: list[float]) -> dict[str, list[int]]:
    """Where in the column stands what JSON has no number for."""
    found: dict[str, list[int]] = {}
    for index, value in enumerate(values):
        if not math.isfinite(value):
            found.setdefault("NaN" if math.isnan(value) else _INFINITE[value], []).append(index)
    return found
