package proxytest

import (
	"os"
	"strconv"
	"strings"
	"testing"
	"time"
)

// CPU returns how much of the processors a proxy has used since it began, in
// steps of 10 ms. After a reload of nginx it starts anew.
func (n *Nginx) CPU(t testing.TB) time.Duration {
	t.Helper()
	pid := strconv.Itoa(n.process.cmd.Process.Pid)
	used := cpu(t, pid)
	for child := range strings.FieldsSeq(proc(t, pid, "task/"+pid+"/children")) {
		used += cpu(t, child)
	}
	return used
}

// CPU returns how much of the processors a proxy has used since it began, in
// steps of 10 ms.
func (h *HAProxy) CPU(t testing.TB) time.Duration {
	t.Helper()
	return cpu(t, strconv.Itoa(h.process.cmd.Process.Pid))
}

func cpu(t testing.TB, pid string) time.Duration {
	t.Helper()
	_, rest, _ := strings.Cut(proc(t, pid, "stat"), ") ")
	f := strings.Fields(rest)
	var ticks int
	for _, i := range []int{11, 12} { // utime, stime
		n, err := strconv.Atoi(f[i])
		if err != nil {
			t.Fatal(err)
		}
		ticks += n
	}
	return time.Duration(ticks) * 10 * time.Millisecond
}

func proc(t testing.TB, pid, file string) string {
	t.Helper()
	text, err := os.ReadFile("/proc/" + pid + "/" + file)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
