# Completions of cargo-dockless for PowerShell: also `cargo dockless` and `cargo xtask`.

Register-ArgumentCompleter -Native -CommandName 'cargo-dockless', 'cargo' -ScriptBlock {
    param($wordToComplete, $commandAst, $cursorPosition)

    $before = @($commandAst.CommandElements |
        Where-Object { $_.Extent.EndOffset -lt $cursorPosition } |
        ForEach-Object { $_.Extent.Text })
    if ([IO.Path]::GetFileNameWithoutExtension($before[0]) -eq 'cargo') {
        $at = if ($before.Count -gt 1 -and $before[1].StartsWith('+')) { 2 } else { 1 }
        if ($before.Count -le $at -or $before[$at] -notin 'dockless', 'xtask') {
            return
        }
    }
    & PROGRAM complete "--word=$wordToComplete" '--' @before 2>$null | ForEach-Object {
        $value, $help = $_ -split "`t", 2
        if (-not $help) {
            $help = $value
        }
        [System.Management.Automation.CompletionResult]::new($value, $value, 'ParameterValue', $help)
    }
}
