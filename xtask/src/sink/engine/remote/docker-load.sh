umask 077
command -v curl >/dev/null 2>&1 || {
    echo 'docker does not reach 127.0.0.1 of this machine, and there is no curl that could read for it'
    exit 1
}
dir=$(mktemp -d) || exit
trap 'rm -rf "$dir"' EXIT
trap 'exit 1' HUP INT TERM PIPE
printf 'url = "http://%s/archive"\nheader = "Authorization: Basic %s"\nnoproxy = "*"\n' \
    "$at" "$login" >"$dir/curl" || exit
{ curl --config "$dir/curl" --fail --silent --show-error || echo >"$dir/failed"; } |
    docker load --quiet || exit
[ ! -e "$dir/failed" ] || exit 1
id=$(docker image inspect --format '{{.Id}}' "$1") || exit
printf 'id %s\n' "$id"
