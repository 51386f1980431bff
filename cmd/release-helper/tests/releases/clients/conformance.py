"""Holds recorded exchanges against GitHub's OpenAPI description: python conformance.py OPENAPI EXCHANGES.

Prints the number of exchanges per operation and status; every violation goes to stderr and makes the exit code 1.
"""

import collections
import json
import re
import sys

from jsonschema import Draft202012Validator

DESCRIPTION = json.load(open(sys.argv[1], encoding="utf-8"))
EXCHANGES = json.load(open(sys.argv[2], encoding="utf-8"))


def resolve(node):
    """Follows a $ref of the description itself."""
    while "$ref" in node:
        found = DESCRIPTION
        for part in node["$ref"].removeprefix("#/").split("/"):
            found = found[part.replace("~1", "/")]
        node = found
    return node


def schema(node, strict):
    """JSON Schema 2020-12 for a schema of OpenAPI 3.0: `nullable` is a type; unknown keys fail if strict."""
    node = resolve(node)
    made = {}
    for key, value in node.items():
        if key in ("properties",):
            made[key] = {name: schema(child, strict) for name, child in value.items()}
        elif key in ("items", "not"):
            made[key] = schema(value, strict)
        elif key in ("oneOf", "anyOf", "allOf"):
            made[key] = [schema(child, strict) for child in value]
        elif key not in ("nullable", "example", "examples", "description", "title", "deprecated", "x-github"):
            made[key] = value
    # A failed upload leaves an asset in the state `starter`, says the text of upload-release-asset; the enum does not.
    if made.get("enum") == ["uploaded", "open"]:
        made["enum"] = ["uploaded", "open", "starter"]
    if strict and "properties" in made:
        made.setdefault("additionalProperties", False)
    if node.get("nullable"):
        return {"anyOf": [made, {"type": "null"}]}
    return made


def find(method, path):
    """The operation of the description that a request meant, with its name."""
    for template, operations in DESCRIPTION["paths"].items():
        pattern = re.sub(r"\\{(ref|tag)\\}", ".+", re.escape(template))
        pattern = re.sub(r"\\\{[a-z_]+\\\}", "[^/]+", pattern)
        pattern = pattern.replace(r"releases/[^/]+", r"releases/\d+") if template.endswith("{release_id}") else pattern
        pattern = re.sub(r"ref/\[\^/\]\+$", "ref/.+", pattern)
        if re.fullmatch(pattern, path) and method.lower() in operations:
            return operations[method.lower()]
    return None


def check(exchange):
    """Yields what is wrong with one exchange."""
    path = exchange["path"].removeprefix("/uploads")
    operation = find(exchange["method"], path)
    if operation is None:
        yield "is no operation of the description"
        return
    name = operation["operationId"].split("/")[1]
    if exchange["operation"] not in (name, {"get-release-asset": "download-asset"}.get(name)):
        yield f"the server takes {name} for {exchange['operation']}"
    known = [resolve(parameter) for parameter in operation.get("parameters", [])]
    queries = {parameter["name"]: parameter for parameter in known if parameter["in"] == "query"}
    for key, value in exchange["query"]:
        if key not in queries:
            yield f"the description has no query parameter {key}"
        elif queries[key]["schema"]["type"] == "integer" and not value.isdigit():
            yield f"{key}={value} is no integer"
    content = operation.get("requestBody", {}).get("content", {})
    if exchange["body"] is not None:
        if "application/json" not in content:
            yield "the description has no JSON body"
        else:
            validator = Draft202012Validator(schema(content["application/json"]["schema"], strict=True))
            for error in validator.iter_errors(exchange["body"]):
                yield f"request: {error.json_path}: {error.message}"
    elif operation.get("requestBody", {}).get("required") or name in ("create-release", "generate-release-notes"):
        yield "the body is missing"
    for header in ("authorization", "accept", "x-github-api-version", "user-agent"):
        if header not in exchange["headers"]:
            yield f"the header {header} is missing"
    status = str(exchange["status"])
    if exchange["status"] in (0, 400, 401, 403, 408, 429) or exchange["status"] >= 500:
        return  # What happens to any operation is not in the description of each.
    if status == "404" and status not in operation["responses"]:
        answer_schema = {"$ref": "#/components/schemas/basic-error"}
    elif status == "422" and status not in operation["responses"]:
        answer_schema = {"$ref": "#/components/schemas/validation-error"}
    elif status not in operation["responses"]:
        yield f"the description has no answer {status}"
        return
    else:
        answer = resolve(operation["responses"][status]).get("content", {}).get("application/json")
        answer_schema = answer and answer["schema"]
    if answer_schema is not None and not (exchange["operation"] == "download-asset"):
        if exchange["answer"] is None:
            yield f"the answer {status} has no JSON"
            return
        validator = Draft202012Validator(schema(answer_schema, strict=False))
        for error in validator.iter_errors(exchange["answer"]):
            yield f"answer {status}: {error.json_path}: {error.message}"


violations = 0
counts = collections.Counter()
for number, exchange in enumerate(EXCHANGES):
    counts[exchange["operation"], exchange["status"]] += 1
    for problem in check(exchange):
        violations += 1
        print(f"{number} {exchange['method']} {exchange['path']}: {problem}", file=sys.stderr)
for (operation, status), count in sorted(counts.items()):
    print(f"{operation:24} {status:3} {count:4}")
sys.exit(1 if violations else 0)
