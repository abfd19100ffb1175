# Completions of cargo-dockless for fish: also `cargo dockless` and `cargo xtask`.
# cargo's own completions stay.

function __dockless_candidates
    set -l word (commandline --current-token --cut-at-cursor)
    set -l before (commandline --current-process --tokenize --cut-at-cursor)
    set -l found (PROGRAM complete --word="$word" -- $before 2>/dev/null)
    # Where nothing is known, names of files are.
    if set -q found[1]
        printf '%s\n' $found
    else
        __fish_complete_path "$word"
    end
end

function __dockless_within
    set -l words (commandline --current-process --tokenize --cut-at-cursor)
    set -e words[1]
    string match --quiet -- '+*' "$words[1]"; and set -e words[1]
    contains -- "$words[1]" dockless xtask
end

complete --command cargo-dockless --keep-order --no-files --arguments '(__dockless_candidates)'
complete --command cargo --condition __dockless_within --keep-order --no-files --arguments '(__dockless_candidates)'
