#!/usr/bin/env python3
"""Extracts what the replays need from captured scenarios: the pod's spec as far as it is decoded, each status that differs,
each Event. usage: extract.py CAPTURED_DIRECTORY [NAME...]; writes NAME.json beside this file."""
import json
import pathlib
import sys

HERE = pathlib.Path(__file__).parent


def keep(source, *names):
    return {name: source[name] for name in names if source.get(name) not in (None, "", [], {})}


def container_status(status):
    kept = keep(status, "name", "restartCount")
    for key in ("state", "lastState"):
        for kind, value in (status.get(key) or {}).items():
            fields = keep(value, "reason", "message", "exitCode", "startedAt", "finishedAt", "containerID")
            if kind == "terminated":
                fields["exitCode"] = value["exitCode"]
            kept[key] = {kind: fields}
    if status.get("ready"):
        kept["ready"] = True
    return kept


def status(full):
    kept = keep(full, "phase", "reason", "message", "startTime")
    conditions = [keep(c, "type", "status", "reason", "message", "lastTransitionTime") for c in full.get("conditions") or []]
    if conditions:
        kept["conditions"] = conditions
    for key in ("initContainerStatuses", "containerStatuses"):
        if full.get(key):
            kept[key] = [container_status(one) for one in full[key]]
    return kept


def event(full):
    kept = keep(full, "reason", "message", "type", "count", "firstTimestamp", "lastTimestamp", "eventTime", "series")
    kept["metadata"] = keep(full["metadata"], "name", "namespace", "uid", "resourceVersion", "creationTimestamp")
    kept["involvedObject"] = keep(full["involvedObject"], "kind", "namespace", "name", "uid", "fieldPath")
    return kept


def container(full):
    kept = keep(full, "name", "image", "restartPolicy")
    if full.get("resources", {}).get("limits", {}).get("memory"):
        kept["resources"] = {"limits": {"memory": full["resources"]["limits"]["memory"]}}
    return kept


def recording(full):
    meta, spec = (full["pod"] or {}).get("metadata"), (full["pod"] or {}).get("spec", {})
    if not meta:
        # The pod was gone when it was recorded.
        about = next(e["involvedObject"] for e in full["events"] if e["involvedObject"].get("uid"))
        meta = {**about, "creationTimestamp": full["events"][0]["metadata"]["creationTimestamp"]}
        spec = {"containers": [{"name": "dev", "image": "registry.example.com/team/workspace:ubuntu"}]}
    pod = keep(meta, "name", "namespace", "uid", "creationTimestamp")
    pod |= keep(spec, "restartPolicy")
    for key in ("containers", "initContainers"):
        if spec.get(key):
            pod[key] = [container(one) for one in spec[key]]
    steps, last = [], None
    # Where an earlier pod of the name was recorded too, the last one counts.
    added = [at for at, step in enumerate(full["timeline"]) if (step["kind"], step["type"]) == ("Pod", "ADDED")]
    for step in full["timeline"][added[-1] if added else 0 :]:
        if step["kind"] == "Event":
            if step["type"] != "DELETED":
                steps.append({"at": step["t"], "event": event(step["event"])})
            continue
        if step["kind"] != "Pod":
            continue
        if step["type"] == "DELETED":
            steps.append({"at": step["t"], "gone": True})
            continue
        now = {"status": status(step["status"] or {})}
        now |= keep(step, "deletionTimestamp")
        if now != last:
            steps.append({"at": step["t"], **now})
        last = now
    return {"description": full["description"], "pod": pod, "steps": steps}


def main():
    source, names = pathlib.Path(sys.argv[1]), sys.argv[2:]
    for path in sorted(source.glob("*.json")):
        if names and path.stem not in names:
            continue
        compact = recording(json.loads(path.read_text()))
        head = {key: compact[key] for key in ("description", "pod")}
        lines = [json.dumps(head, separators=(",", ":"))]
        lines += [json.dumps(step, separators=(",", ":")) for step in compact["steps"]]
        (HERE / f"{path.stem}.jsonl").write_text("\n".join(lines) + "\n")


main()
