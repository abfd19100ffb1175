# Completions of cargo-dockless for bash: also `cargo dockless` and `cargo xtask`.
# cargo's own completions stay, and are used for all else.

_dockless() {
    # bash would split `--target=` and `ghcr.io/a:1` into words of their own. COMP_LINE does not.
    local words word typed value rest
    COMPREPLY=()
    read -ra words <<< "${COMP_LINE:0:COMP_POINT}"
    word=
    if [[ ${COMP_LINE:0:COMP_POINT} != *[[:space:]] ]]; then
        word=${words[${#words[@]}-1]}
        unset "words[${#words[@]}-1]"
    fi
    # What bash takes for words before the one that it replaces.
    typed=${word%"$2"}
    while IFS=$'\t' read -r value rest; do
        COMPREPLY+=("${value#"$typed"}")
    done < <(PROGRAM complete --word="$word" -- "${words[@]}" 2>/dev/null)
    # Where nothing is known, names of files are.
    [[ ${#COMPREPLY[@]} -gt 0 ]] || compopt -o bashdefault -o default 2>/dev/null
}

_dockless_cargo() {
    local words at=1
    read -ra words <<< "${COMP_LINE:0:COMP_POINT}"
    [[ ${words[1]-} != +* ]] || at=2
    if [[ ${words[at]-} == @(dockless|xtask) && $COMP_CWORD -gt $at ]]; then
        _dockless "$@"
        return
    fi
    if [[ -z ${_dockless_before-} ]]; then
        # bash-completion loads a command's completions when they are first asked for, and only
        # where there are none.
        complete -r cargo
        { _comp_load cargo || _completion_loader cargo; } > /dev/null 2>&1
        _dockless_wrap
    fi
    [[ -z ${_dockless_before-} ]] || "$_dockless_before" "$@"
}

# Puts itself before the function that completes cargo, and keeps that one's options.
_dockless_wrap() {
    local spec function
    spec=$(complete -p cargo 2>/dev/null) || spec='complete -F _dockless_cargo cargo'
    # Completions that are no function are left alone.
    [[ $spec == *' -F '* ]] || return 0
    function=${spec##* -F }
    function=${function%% *}
    [[ $function == _dockless_cargo ]] || _dockless_before=$function
    eval "${spec/ -F $function / -F _dockless_cargo }"
}

complete -F _dockless cargo-dockless
_dockless_wrap
