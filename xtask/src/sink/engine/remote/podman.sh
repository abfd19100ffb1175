image=$at/dockless@$digest
umask 077
dir=$(mktemp -d) || exit
trap 'podman untag "$image" "$image" >/dev/null 2>&1; rm -rf "$dir"' EXIT
trap 'exit 1' HUP INT TERM PIPE
printf '{"auths":{"%s":{"auth":"%s"}}}\n' "$at" "$login" >"$dir/auth.json" || exit
podman pull --quiet --tls-verify=false --authfile "$dir/auth.json" "$image" || exit
podman tag "$image" "$@" || exit
podman image inspect --format '{{.Id}}' "$digested" || exit
