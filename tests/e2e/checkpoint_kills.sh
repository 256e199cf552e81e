#!/bin/bash
# pitfall 5: a run that is killed with SIGKILL at any moment of saving leaves a whole checkpoint, the last one that was safe or a later one.
. "$(dirname "$0")/harness.bash"

cat >model.xml <<'EOF'
<pofac xmlns="urn:pofac:1">
  <model head="masked-lm">
    <bert vocab_size="300" hidden_size="32" num_hidden_layers="2" num_attention_heads="2" intermediate_size="64" max_position_embeddings="32"/>
  </model>
</pofac>
EOF
kills=100
[ -z "${POFAC_SANITIZE:-}" ] || kills=20
# Memory instead of a disk where there is such a place: a process that dies loses nothing that it has written, and syncing takes no time.
place=$(mktemp -d -p /dev/shm 2>/dev/null) || place=.
trap '[ "$place" = . ] || rm -rf "$place"' EXIT
ok "$build_dir/kill_saves" model.xml "$place/run" "$kills" && cat ok.log
[ -z "$(find "$place/run" -mindepth 2 -name '.*')" ] || fail "hidden files are left in checkpoints"
finish
