"""The requirements of the package, its lessons and its tests at the lowest versions that pyproject.toml allows, one a line."""

import tomllib

with open("pyproject.toml", "rb") as file:
    project = tomllib.load(file)["project"]
extras = project["optional-dependencies"]
for requirement in project["dependencies"] + extras["lessons"] + extras["test"]:
    print(requirement.split(";")[0].strip().replace(">=", "=="))
