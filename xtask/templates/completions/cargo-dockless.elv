# Completions of cargo-dockless for elvish: also `cargo dockless` and `cargo xtask`.
# cargo's own completions stay, and are used for all else.

use str

fn dockless-candidates {|@words|
    var before = $words[..-1]
    var found = [(try {
        (external PROGRAM) complete --word=$words[-1] -- $@before 2>/dev/null
    } catch {
        nop
    })]
    # Where nothing is known, names of files are.
    if (eq $found []) {
        edit:complete-filename $@words
    }
    for line $found {
        var value help = (str:split &max=2 "\t" $line)
        edit:complex-candidate $value &display=(if (eq $help '') { put $value } else { put $value' ('$help')' })
    }
}

set edit:completion:arg-completer[cargo-dockless] = $dockless-candidates~

var dockless-before = $nil
if (has-key $edit:completion:arg-completer cargo) {
    set dockless-before = $edit:completion:arg-completer[cargo]
}
set edit:completion:arg-completer[cargo] = {|@words|
    var at = 1
    if (and (> (count $words) 2) (str:has-prefix $words[1] '+')) {
        set at = 2
    }
    if (and (> (count $words) (+ $at 1)) (has-value [dockless xtask] $words[$at])) {
        dockless-candidates $@words
    } elif (not-eq $dockless-before $nil) {
        $dockless-before $@words
    } else {
        edit:complete-filename $@words
    }
}
