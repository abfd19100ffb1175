"""Validates SBOMs: SPDX by spdx-tools, CycloneDX by cyclonedx-python-lib, package URLs by packageurl.

Prints what is wrong, a line each. Ends with 3 if a judge is not installed.
"""

import json
import sys

try:
    from cyclonedx.schema import SchemaVersion
    from cyclonedx.validation.json import JsonStrictValidator
    from packageurl import PackageURL
    from spdx_tools.spdx.parser.parse_anything import parse_file
    from spdx_tools.spdx.validation.document_validator import validate_full_spdx_document
except ImportError as error:
    print(error)
    sys.exit(3)


def check_spdx(path, document):
    for message in validate_full_spdx_document(parse_file(path)):
        yield message.validation_message
    for package in document["packages"]:
        for reference in package.get("externalRefs", []):
            if reference["referenceType"] == "purl":
                yield from check_purl(reference["referenceLocator"])


def check_cyclonedx(path, document):
    error = JsonStrictValidator(SchemaVersion.V1_6).validate_str(json.dumps(document))
    if error:
        yield str(error)
    for component in document["components"] + [document["metadata"]["component"]]:
        if "purl" in component:
            yield from check_purl(component["purl"])


def check_purl(purl):
    try:
        again = PackageURL.from_string(purl).to_string()
    except ValueError as error:
        yield f"{purl}: {error}"
    else:
        if again != purl:
            yield f"{purl}: should be {again}"


wrong = 0
for path in sys.argv[1:]:
    with open(path, encoding="utf-8") as file:
        document = json.load(file)
    check = check_spdx if path.endswith(".spdx.json") else check_cyclonedx
    for message in check(path, document):
        print(f"{path}: {message}")
        wrong += 1
sys.exit(1 if wrong else 0)
