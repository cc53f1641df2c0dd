#!/usr/bin/env bash
# A link at the root of a project into its own package makes hatchling leave the package's folder out of the sdist (pypa/hatch#1197).
#
# Seen with hatchling 1.33.0 and build 1.6.1 on Linux: the tree has pkg/core/__init__.py and the link core -> pkg/core.
# The sdist holds core/__init__.py and no pkg/core; nothing is said, and the exit status is 0. A wheel made from the
# tree is whole; one made from the sdist, as `python -m build` does it, lacks the folder. Without the link it is there.
# `only-include = ["pkg"]` in [tool.hatch.build.targets.sdist] brings it back.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"

python3 -m venv venv
venv/bin/pip install -q hatchling==1.33.0 build==1.6.1

mkdir -p project/pkg/core
cd project
echo '"""A package."""' >pkg/__init__.py
echo '"""A room of it."""' >pkg/core/__init__.py
cat >pyproject.toml <<'EOF'
[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"

[project]
name = "demo"
version = "1"

[tool.hatch.build.targets.wheel]
packages = ["pkg"]
EOF

built() {  # the files of the archive that a build of $1 makes, without the archive's own folder
    rm -rf out
    ../venv/bin/python -m build -q --no-isolation "--$1" --outdir out . >/dev/null
    if [ "$1" = sdist ]; then tar -tzf out/*.tar.gz | sed 's|^demo-1/||'; else python3 -m zipfile -l out/*.whl | awk '{print $1}'; fi
}
has() { built "$1" | grep -qx "$2"; }

has sdist pkg/core/__init__.py || { echo "without a link the sdist already lacks the folder"; exit 1; }
ln -s pkg/core core
has wheel pkg/core/__init__.py || { echo "the wheel from the tree lacks the folder too"; exit 1; }
has sdist core/__init__.py || { echo "the sdist does not follow the link any more"; exit 1; }
! has sdist pkg/core/__init__.py || { echo "CHANGED: the sdist has the folder beside the link"; exit 1; }
printf '\n[tool.hatch.build.targets.sdist]\nonly-include = ["pkg"]\n' >>pyproject.toml
has sdist pkg/core/__init__.py || { echo "only-include does not bring it back"; exit 1; }
echo "as described: the sdist has core/ and lacks pkg/core/"
