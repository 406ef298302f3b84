#!/usr/bin/env bash
# Makes the pictures and the report of this folder, with PyTorch's times beside it where there is one:
#   examples/sam/make.sh [TENON] [PYTHON with torch, NumPy and Pillow] [OUT]
set -eu
here=$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")
tenon=$(realpath "${1:-$here/../../build/release/bin/tenon}")
python=${2:-}
mkdir -p "${3:-$here}"
cd "${3:-$here}"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
picture=$here/shapes.png
click=70,30

"$tenon" build "$here/../../miniatures/sam/sam.pth" -o "$work/sam.plan"
"$tenon" run --json "$work/sam.plan" --image "$picture" --point $click --repeats 20 --overlay click.png >"$work/click.json"
"$tenon" run --json "$work/sam.plan" --image "$picture" --everything --points-per-side 16 --pred-iou-thresh 0.8 \
  --stability-score-thresh 0.9 --repeats 3 --overlay everything.png >"$work/everything.json"
baseline=()
if [ -n "$python" ]; then
  "$python" "$here/pytorch_times.py" "$picture" $click >"$work/pytorch.json"
  baseline=(--baseline "PyTorch, eager, f32=$work/pytorch.json")
fi
"$tenon" report "$work/sam.plan" --results "$work/click.json" "$work/everything.json" "${baseline[@]}" -o report.html -o report.md
# Folders of this machine say nothing to others.
sed -i -e "s|$work/||g" -e "s|$here/||g" -e "s|$tenon|tenon|g" report.html report.md
