//go:build !linux

package kafkatest

import "syscall"

// dying: only Linux ends a process with the one that started it. Elsewhere a
// test that is killed leaves its brokers behind.
var dying *syscall.SysProcAttr
