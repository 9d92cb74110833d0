"""Says whether a file is an OpenAPI 3.1 description, by the schema that the OpenAPI Initiative publishes."""

import json
import sys

from openapi_spec_validator import OpenAPIV31SpecValidator

with open(sys.argv[1], encoding="utf-8") as file:
    errors = list(OpenAPIV31SpecValidator(json.load(file)).iter_errors())
for error in errors:
    print("/".join(map(str, error.absolute_path)), error.message[:500])
sys.exit(bool(errors))
