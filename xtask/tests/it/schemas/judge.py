"""Validates documents by jsonschema: pairs of a schema and a document follow.

Prints what is wrong, a line each. Ends with 3 if the judge is not installed.
"""

import json
import sys

try:
    from jsonschema import Draft202012Validator
except ImportError as error:
    print(error)
    sys.exit(3)


def read(path):
    with open(path, encoding="utf-8") as file:
        return json.load(file)


wrong = 0
for path, document in zip(sys.argv[1::2], sys.argv[2::2]):
    schema = read(path)
    Draft202012Validator.check_schema(schema)
    for error in Draft202012Validator(schema).iter_errors(read(document)):
        print(f"{document}: {error.message}")
        wrong += 1
sys.exit(1 if wrong else 0)
