package proxytest

import (
	"context"
	"net"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// Hydra guesses passwords at POST /signin as a client with that address until
// ctx ends or it has tried all the words of a file. (At a 401 it gives up.)
func Hydra(ctx context.Context, t testing.TB, url, address, words string) {
	t.Helper()
	_, port, err := net.SplitHostPort(strings.TrimPrefix(url, "http://"))
	if err != nil {
		t.Error(err)
		return
	}
	cmd := exec.CommandContext(ctx, Program(t, "hydra"), "-I", "-l", "ann", "-P", words, "-t", "4", "-s", port, "127.0.0.1",
		"http-post-form", "/signin:username=^USER^&password=^PASS^:g=:H=X-Forwarded-For\\: "+address+":S=welcome")
	cmd.Dir = filepath.Dir(words) // it leaves a file to go on from
	cmd.SysProcAttr = itsOwnGroup()
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) } // with its children
	cmd.WaitDelay = 5 * time.Second
	out, err := cmd.CombinedOutput()
	if ctx.Err() == nil && err != nil {
		t.Errorf("hydra: %v: %s", err, out)
	}
}
