/**
 * The completion script of each shell. It asks `cio credential __complete` for the words that fit. The first line of
 * the answer is `words` (the other lines are the words), `files`, or `command N` (the command line of another command
 * begins at word N).
 */
export const COMPLETION_SCRIPTS: Readonly<Record<string, string | undefined>> = {
  bash: `_cio() {
  # Bash splits words at = and :, which are part of a word here: join again what no space separates.
  local -a answer words=() places=()
  local rest=\${COMP_LINE-} word current prefix i
  for ((i = 0; i <= COMP_CWORD; i++)); do
    word=\${COMP_WORDS[i]}
    if [[ -n $rest && $rest != [[:space:]]* && $i -gt 0 ]]; then
      words[-1]+=$word
    else
      words+=("$word")
      places+=("$i")
    fi
    rest=\${rest#"\${rest%%[![:space:]]*}"}
    rest=\${rest#"$word"}
  done
  # Bash completes only what follows the last = or :, so what precedes it is cut off the answers.
  [[ $word == [=:] ]] && word=
  current=\${words[-1]}
  prefix=\${current%"$word"}
  mapfile -t answer < <(cio credential __complete -- $((\${#words[@]} - 1)) "\${words[@]}" 2>/dev/null)
  COMPREPLY=()
  case "\${answer[0]-}" in
    words)
      COMPREPLY=("\${answer[@]:1}")
      COMPREPLY=("\${COMPREPLY[@]#"$prefix"}")
      ;;
    files)
      compopt -o filenames 2>/dev/null
      mapfile -t COMPREPLY < <(compgen -f -- "$word")
      ;;
    command\\ *)
      i=\${places[\${answer[0]#command }]}
      if declare -F _command_offset >/dev/null; then
        _command_offset "$i"
      elif [[ $i == "$COMP_CWORD" ]]; then
        mapfile -t COMPREPLY < <(compgen -c -- "$word")
      else
        compopt -o filenames 2>/dev/null
        mapfile -t COMPREPLY < <(compgen -f -- "$word")
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
    files)
      compset -P '--*='
      _files
      ;;
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
            set -l prefix (string match --regex -- '^--[^=]+=' "$current")
            __fish_complete_path (string sub --start (math 1 + (string length -- "$prefix")) -- "$current") |
                string replace --regex -- '^' "$prefix"
        case 'command *'
            set -l first (math (string replace 'command ' '' -- $answer[1]) + 1)
            complete -C (string join ' ' -- (string escape -- $words[$first..-2]) "$current")
    end
end
complete -c cio -f -a '(__cio_complete)'
`,
};
