"""Tells schemathesis what `x-alknet-event-schema` means.

OpenAPI 3.1 has no words for the schema of one server-sent event; 3.2 has `itemSchema`, which schemathesis knows. With it
the data of every event is checked, as every other answer is.
"""

import schemathesis

EVENTS = "text/event-stream"


def item_schema(event):
    """What one event is: an output, a problem document, or the end."""

    def named(name, schema):
        data = {"type": "string", "contentMediaType": "application/json", "contentSchema": schema}
        return {"properties": {"event": {"const": name}, "data": data}, "required": ["event", "data"]}

    problem = {"$ref": "#/components/schemas/Problem"}
    end = {"properties": {"event": {"const": "end"}}, "required": ["event"]}
    return {"type": "object", "oneOf": [named("message", event), named("error", problem), end]}


@schemathesis.hook
def before_load_schema(_context, raw_schema):
    for item in raw_schema["paths"].values():
        for response in item["post"]["responses"].values():
            content = response.get("content", {}).get(EVENTS)
            if content is not None:
                del content["schema"]
                content["itemSchema"] = item_schema(content.pop("x-alknet-event-schema"))
