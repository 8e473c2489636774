#!/usr/bin/env bash
# Pins the SHA-256 checksums of the official releases of the versions in go.mod: downloads each file, compares it with
# the publisher's checksum where there is one, and writes checksums.txt. Needs internet access, cargo and curl.
set -euo pipefail
cd "$(dirname "$0")"

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
get() { curl --fail --silent --show-error --location --proto '=https' --retry 2 --output "$2" "$1"; }

grep '^#' checksums.txt > "$work/checksums.txt"
cargo run --quiet --locked --package logstream-testing --example tools -- releases > "$work/releases"
while read -r tool version platform url published; do
    echo "$tool $version $platform" >&2
    get "$url" "$work/file"
    sum=$(sha256sum "$work/file" | cut -d ' ' -f 1)
    if [ "$published" != - ]; then
        get "$published" "$work/published"
        # Either a checksum alone, or lines of sha256sum.
        name=${url##*/}
        wanted=$(awk -v name="$name" 'NF == 1 || $2 == name || $2 == "*" name { print $1; exit }' "$work/published")
        if [ "$sum" != "$wanted" ]; then
            echo "$url has the SHA-256 $sum, but $published says $wanted" >&2
            exit 1
        fi
    fi
    echo "$tool $version $platform $sum" >> "$work/checksums.txt"
done < "$work/releases"
cp "$work/checksums.txt" checksums.txt
