package kafkatest

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

func TestTheJarsAreResolvedOnceForAllWhoWantThem(t *testing.T) {
	root := filepath.Join(t.TempDir(), "cache")
	var calls atomic.Int32
	resolve := func(_, into string) error {
		calls.Add(1)
		if err := os.WriteFile(filepath.Join(into, "a.jar"), nil, 0o644); err != nil {
			return err
		}
		time.Sleep(50 * time.Millisecond) // the others come while this one is at it
		return os.WriteFile(filepath.Join(into, "b.jar"), nil, 0o644)
	}
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			dir, err := fetch(root, io.Discard, resolve)
			if err != nil {
				t.Error(err)
				return
			}
			if found, err := filepath.Glob(filepath.Join(dir, "*.jar")); err != nil || len(found) != 2 {
				t.Errorf("%s holds %v (%v), want both jars", dir, found, err)
			}
		})
	}
	wg.Wait()
	if n := calls.Load(); n != 1 {
		t.Errorf("resolved %d times, want once", n)
	}
}

func TestJarsThatCouldNotBeResolvedAreTriedAgain(t *testing.T) {
	root := t.TempDir()
	broken := errors.New("no network")
	dir, err := fetch(root, io.Discard, func(_, into string) error {
		return errors.Join(os.WriteFile(filepath.Join(into, "half.jar"), nil, 0o644), broken)
	})
	if !errors.Is(err, broken) {
		t.Fatalf("%q, %v, want the error of the resolver", dir, err)
	}
	dir, err = fetch(root, io.Discard, func(pom, _ string) error {
		b, err := os.ReadFile(pom)
		if err == nil && !strings.Contains(string(b), "kafka_2.13") {
			err = errors.New("the pom does not name Kafka")
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if left, err := filepath.Glob(filepath.Join(dir, "*.jar")); err != nil || len(left) > 0 {
		t.Errorf("%v (%v) is left of the attempt that failed", left, err)
	}
}

func TestAMissingProgramIsAFailureThatSaysHowToInstallIt(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	_, err := fetch(t.TempDir(), io.Discard, resolve)
	if err == nil || !strings.Contains(err.Error(), "java") || !strings.Contains(err.Error(), "apt-get install -y openjdk-17-jre-headless maven") {
		t.Errorf("%v, want what is missing and the command that installs it", err)
	}
}
