# skips.awk - reads the output of go test -v; prints each skipped test with its reason, which is the last thing that the
# test said (a subtest's verdict comes only after its parent's). r is the kernel it ran on.
/^=== (RUN|NAME|CONT) /{ test = $3; next }
/^ +[a-z0-9_]+\.go:[0-9]+: /{ said[test] = $0; sub(/^ +/, "", said[test]) }
/^ *--- SKIP: /{ print "  skipped on " r ": " $3 ": " said[$3] }
