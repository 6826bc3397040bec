# What the recording in README.md shows: typed by nobody, run for real (`make pictures`).

type_and_run() {
  printf '\033[32m$\033[0m '
  printf '%s' "$*" | while IFS= read -r -n 1 letter; do
    printf '%s' "$letter"
    sleep 0.03
  done
  sleep 0.4
  echo
  "$@"
  sleep 1.5
  echo
}

type_and_run git certs plan
type_and_run git certs renew
type_and_run git log --reverse --format='%h %s' -4
type_and_run git ls-files certificates
type_and_run git certs renew
sleep 2
