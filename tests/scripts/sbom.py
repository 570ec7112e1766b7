#!/usr/bin/env python3
"""sbom.py [FOLDER]: what the programs are made of, as CycloneDX 1.5 in JSON: FOLDER/lm.cdx.json
(target/sbom).

Of Cargo.lock, those crates that lm-testpmd and lm-netpipe are built from or with, for this platform, each
with version, licence, checksum and what it depends on; and libdpdk, which they are linked to. The same
sources give the same bytes.
"""

import json
import pathlib
import re
import subprocess
import sys
import uuid

ROOT = pathlib.Path(__file__).resolve().parents[2]
PROGRAMS = "lm-apps"


def run(*words):
    return subprocess.run(words, cwd=ROOT, check=True, capture_output=True, text=True).stdout


def checksums():
    """SHA-256 of each crate's archive, by name and version."""
    found = {}
    for package in (ROOT / "Cargo.lock").read_text().split("[[package]]")[1:]:
        fields = dict(re.findall(r'^(\w+) = "(.*)"$', package, re.MULTILINE))
        if "checksum" in fields:
            found[fields["name"], fields["version"]] = fields["checksum"]
    return found


def reference(package):
    return f"pkg:cargo/{package['name']}@{package['version']}"


def licence(package):
    """An SPDX expression; a slash is Cargo's old way to say OR."""
    return package["license"] and re.sub(r"\s*/\s*", " OR ", package["license"])


def component(package, sums):
    told = {
        "type": "library",
        "bom-ref": reference(package),
        "name": package["name"],
        "version": package["version"],
        "purl": reference(package),
        "scope": "required"
    }
    if package["description"]:
        told["description"] = " ".join(package["description"].split())
    if licence(package):
        told["licenses"] = [{"expression": licence(package)}]
    if (package["name"], package["version"]) in sums:
        told["hashes"] = [{"alg": "SHA-256", "content": sums[package["name"], package["version"]]}]
    if package["repository"]:
        told["externalReferences"] = [{"type": "vcs", "url": package["repository"]}]
    return told


def document():
    host = re.search(r"^host: (.*)$", run("rustc", "-vV"), re.MULTILINE)[1]
    metadata = json.loads(
        run("cargo", "metadata", "--locked", "--format-version", "1", "--filter-platform", host))
    packages = {package["id"]: package for package in metadata["packages"]}
    nodes = {node["id"]: node for node in metadata["resolve"]["nodes"]}
    root = next(id for id in metadata["workspace_members"] if packages[id]["name"] == PROGRAMS)
    # What tests, or features of other crates of the workspace, need is in no program.
    tree = run("cargo", "tree", "--locked", "-p", PROGRAMS, "-e", "normal,build", "--prefix", "none", "-f",
               "{p}")
    built = {
        "pkg:cargo/" + "@".join(line.replace(" v", " ").split()[:2])
        for line in tree.splitlines() if line
    }
    needs = {id: sorted(built & {reference(packages[dep["pkg"]]) for dep in node["deps"]
                                 if any(kind["kind"] != "dev" for kind in dep["dep_kinds"])})
             for id, node in nodes.items()}
    by_reference = {reference(package): id for id, package in packages.items()}
    reached, todo = set(), [root]
    while todo:
        id = todo.pop()
        if id not in reached:
            reached.add(id)
            todo += [by_reference[one] for one in needs[id]]
    sums = checksums()
    dpdk = run("pkg-config", "--modversion", "libdpdk").strip()
    dpdk_reference = f"pkg:generic/dpdk@{dpdk}"
    components = [component(packages[id], sums) for id in reached - {root}]
    components.append({
        "type": "library",
        "bom-ref": dpdk_reference,
        "name": "dpdk",
        "version": dpdk,
        "purl": dpdk_reference,
        "scope": "required",
        "licenses": [{
            "expression": "BSD-3-Clause"
        }]
    })
    dependencies = [{
        "ref": reference(packages[id]),
        "dependsOn": needs[id] + [dpdk_reference] * (packages[id]["name"] == "dpdk-sys")
    } for id in reached]
    dependencies.append({"ref": dpdk_reference, "dependsOn": []})
    program = {**component(packages[root], sums), "type": "application"}
    del program["scope"]
    told = {
        "metadata": {
            "component": program
        },
        "components": sorted(components, key=lambda one: one["bom-ref"]),
        "dependencies": sorted(dependencies, key=lambda one: one["ref"])
    }
    number = uuid.uuid5(uuid.NAMESPACE_URL, json.dumps(told, sort_keys=True))
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "serialNumber": f"urn:uuid:{number}",
        "version": 1,
        **told
    }


def main():
    folder = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else ROOT / "target/sbom")
    folder.mkdir(parents=True, exist_ok=True)
    path, told = folder / "lm.cdx.json", document()
    path.write_text(json.dumps(told, indent=1) + "\n")
    print(f"{path}: {len(told['components'])} components")


if __name__ == "__main__":
    main()
