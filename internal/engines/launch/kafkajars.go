package launch

import (
	"context"
	"crypto/sha256"
	_ "embed"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

//go:embed pom.xml
var pom []byte

// KafkaVersion is the release that pom.xml names.
const KafkaVersion = "4.1.1"

// KafkaJars returns the directory with Kafka's jars, ${XDG_CACHE_HOME:-~/.cache}/penstock/engines/kafka-<hash of the pom>.
// When it is not there yet, Maven fills it; other processes that want it wait meanwhile. Progress goes to out.
func KafkaJars(ctx context.Context, out io.Writer) (string, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	cache = filepath.Join(cache, "penstock", "engines")
	dir := filepath.Join(cache, fmt.Sprintf("kafka-%x", sha256.Sum256(pom))[:len("kafka-")+12])
	if _, err := os.Stat(dir); err == nil {
		return dir, nil // it gets its name only when it is complete
	}
	maven, err := find(KafkaEngine, "maven", "mvn")
	if err != nil {
		return "", err
	}
	if err := os.MkdirAll(cache, 0o755); err != nil {
		return "", err
	}
	unlock, err := Lock(filepath.Join(cache, "lock"))
	if err != nil {
		return "", err
	}
	defer unlock()
	if _, err := os.Stat(dir); err == nil {
		return dir, nil
	}
	fmt.Fprintln(out, "kafka: resolving the jars with Maven (about 43 MB, once)")
	if err := resolve(ctx, maven, dir); err != nil {
		return "", &MissingError{KafkaEngine, "its jars: " + err.Error(), "see that Maven reaches its repository, and try again"}
	}
	return dir, nil
}

func resolve(ctx context.Context, maven, dir string) error {
	part := dir + ".part"
	if err := os.RemoveAll(part); err != nil {
		return err
	}
	if err := os.Mkdir(part, 0o755); err != nil {
		return err
	}
	file := filepath.Join(part, "pom.xml")
	if err := os.WriteFile(file, pom, 0o644); err != nil {
		return err
	}
	err := run(ctx, maven, "-B", "-q", "-ntp", "-f", file, "dependency:copy-dependencies", "-DincludeScope=runtime", "-DoutputDirectory="+part)
	if err != nil {
		return err
	}
	return os.Rename(part, dir)
}

// Lock waits for an exclusive lock between processes. It ends with unlock or with this process.
func Lock(name string) (unlock func(), err error) {
	f, err := os.OpenFile(name, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX); err != nil {
		f.Close()
		return nil, fmt.Errorf("lock %s: %w", name, err)
	}
	return func() { f.Close() }, nil
}
