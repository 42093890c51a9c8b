package kafkatest

import (
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"syscall"
	"testing"
)

//go:embed pom.xml
var pom []byte

var pinned = regexp.MustCompile(`<kafka\.version>([^<]+)</kafka\.version>`)

// Version returns the version of Kafka that tests run.
func Version() string { return string(pinned.FindSubmatch(pom)[1]) }

// install is what to do about a missing program.
const install = "apt-get install -y openjdk-17-jre-headless maven"

// copier is the plugin that puts the jars into one folder, pinned like them.
const copier = "org.apache.maven.plugins:maven-dependency-plugin:3.9.0:copy-dependencies"

// Jars returns the folder with the jars, which it resolves if need be.
func Jars(t testing.TB) string {
	t.Helper()
	dir, err := Fetch(io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// Fetch resolves the jars, once a user and version, and returns their folder.
// Several processes may call it at once: one resolves and the others wait.
func Fetch(progress io.Writer) (string, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("kafka's jars need a cache: %w", err)
	}
	return fetch(filepath.Join(cache, "weir"), progress, resolve)
}

// fetch is Fetch below the folder root. A folder of jars gets its name only when
// it is whole, and the name holds a hash of what was asked for: so it is never
// changed, and nobody runs from half of it.
func fetch(root string, progress io.Writer, resolve func(pom, into string) error) (string, error) {
	sum := sha256.Sum256(pom)
	dir := filepath.Join(root, "kafka-"+Version()+"-"+hex.EncodeToString(sum[:4]))
	if whole(dir) {
		return dir, nil
	}
	if err := os.MkdirAll(root, 0o755); err != nil {
		return "", fmt.Errorf("kafka's jars: %w", err)
	}
	unlock, err := lock(dir + ".lock")
	if err != nil {
		return "", err
	}
	defer unlock()
	if whole(dir) { // another process was faster
		return dir, nil
	}
	fmt.Fprintf(progress, "kafka %s: resolving its jars with Maven into %s\n", Version(), dir)
	partial := dir + ".partial"
	if err := errors.Join(os.RemoveAll(partial), os.MkdirAll(partial, 0o755)); err != nil {
		return "", fmt.Errorf("kafka's jars: %w", err)
	}
	file := filepath.Join(partial, "pom.xml")
	if err := os.WriteFile(file, pom, 0o644); err != nil {
		return "", fmt.Errorf("kafka's jars: %w", err)
	}
	if err := resolve(file, partial); err != nil {
		return "", err
	}
	if err := os.Rename(partial, dir); err != nil {
		return "", fmt.Errorf("kafka's jars: %w", err)
	}
	return dir, nil
}

// whole reports whether dir is there: it is only ever renamed into place.
func whole(dir string) bool {
	info, err := os.Stat(dir)
	return err == nil && info.IsDir()
}

// lock waits until no other process holds the file's lock.
func lock(name string) (unlock func(), err error) {
	file, err := os.OpenFile(name, os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, fmt.Errorf("kafka's jars: %w", err)
	}
	for {
		err = syscall.Flock(int(file.Fd()), syscall.LOCK_EX)
		if !errors.Is(err, syscall.EINTR) {
			break
		}
	}
	if err != nil {
		file.Close()
		return nil, fmt.Errorf("kafka's jars: locking %s: %w", name, err)
	}
	return func() { file.Close() }, nil // which unlocks
}

// resolve has Maven put the jars that a pom names into a folder.
func resolve(pom, into string) error {
	if _, err := program("java"); err != nil {
		return err
	}
	mvn, err := program("mvn")
	if err != nil {
		return err
	}
	cmd := exec.Command(mvn, "-B", "-q", "-f", pom, copier, "-DincludeScope=runtime", "-DoutputDirectory="+into)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("kafka's jars: mvn: %w\n%s", err, out)
	}
	return nil
}

// program finds a program or says how to install it.
func program(name string) (string, error) {
	path, err := exec.LookPath(name)
	if err != nil {
		return "", fmt.Errorf("a real Kafka needs %s, which is not installed: %s", name, install)
	}
	return path, nil
}
