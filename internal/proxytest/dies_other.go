//go:build !linux

package proxytest

import "syscall"

func diesWithUs(syscall.Signal) *syscall.SysProcAttr { return nil }
