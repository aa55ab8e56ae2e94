/**
 * By shell, what asks `cio credential __complete` for the words that fit. Its first line says what they are: `words`
 * (the other lines), `files`, or `command N` (another command's line begins at word N).
 */
export const COMPLETION_SCRIPTS: Readonly<Record<string, string | undefined>> = {
  bash: `_cio() {
  local -a answer
  mapfile -t answer < <(cio credential __complete -- "$COMP_CWORD" "\${COMP_WORDS[@]}" 2>/dev/null)
  COMPREPLY=()
  case "\${answer[0]-}" in
    words) COMPREPLY=("\${answer[@]:1}") ;;
    files)
      compopt -o filenames 2>/dev/null
      mapfile -t COMPREPLY < <(compgen -f -- "\${COMP_WORDS[COMP_CWORD]}")
      ;;
    command\\ *)
      if declare -F _command_offset >/dev/null; then
        _command_offset "\${answer[0]#command }"
      elif [[ "\${answer[0]#command }" == "$COMP_CWORD" ]]; then
        mapfile -t COMPREPLY < <(compgen -c -- "\${COMP_WORDS[COMP_CWORD]}")
      else
        compopt -o filenames 2>/dev/null
        mapfile -t COMPREPLY < <(compgen -f -- "\${COMP_WORDS[COMP_CWORD]}")
      fi
      ;;
  esac
}
complete -F _cio cio
`,
  zsh: `#compdef cio
_cio() {
  local -a answer
  answer=("\${(@f)$(cio credential __complete -- $((CURRENT - 1)) "\${(@)words}" 2>/dev/null)}")
  case "$answer[1]" in
    words) compadd -- "\${(@)answer[2,-1]}" ;;
    files) _files ;;
    command\\ *)
      shift "\${answer[1]#command }" words
      (( CURRENT -= \${answer[1]#command } ))
      _normal
      ;;
  esac
}
if [[ "\${funcstack[1]}" == _cio ]]; then
  _cio "$@"
elif (( $+functions[compdef] )); then
  compdef _cio cio
fi
`,
  fish: `function __cio_complete
    set -l current (commandline -ct)
    set -l words (commandline -opc) "$current"
    set -l answer (cio credential __complete -- (math (count $words) - 1) $words 2>/dev/null)
    switch "$answer[1]"
        case words
            printf '%s\\n' $answer[2..]
        case files
            __fish_complete_path "$current"
        case 'command *'
            set -l first (math (string replace 'command ' '' -- $answer[1]) + 1)
            complete -C (string join ' ' -- (string escape -- $words[$first..-2]) "$current")
    end
end
complete -c cio -f -a '(__cio_complete)'
`,
};
