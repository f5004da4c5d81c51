package launch

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
)

// packages are Debian's, with the programs that show that they are there.
var packages = map[string][]struct{ program, name string }{
	RedisEngine: {{"redis-server", "redis-server"}},
	MySQL:       {{"mariadbd", "mariadb-server"}, {"mariadb-install-db", "mariadb-server"}},
	KafkaEngine: {{"java", "default-jre-headless"}, {"mvn", "maven"}},
}

// Install makes an engine runnable: it installs missing Debian packages, when this process is root and apt-get is there, and
// resolves Kafka's jars. What cannot be had is a *MissingError. Progress goes to out.
func Install(ctx context.Context, engine string, out io.Writer) error {
	var names []string
	var missing error
	for _, p := range packages[engine] {
		if _, err := find(engine, p.name, p.program); err != nil {
			names, missing = append(names, p.name), err
		}
	}
	if missing != nil {
		if _, err := exec.LookPath("apt-get"); err != nil || os.Getuid() != 0 {
			return missing
		}
		fmt.Fprintf(out, "%s: installing %v\n", engine, names)
		if err := apt(ctx, out, names...); err != nil {
			return &MissingError{engine, fmt.Sprintf("the packages %v: %v", names, err), "see that apt-get reaches its repository, and try again"}
		}
	}
	if engine == KafkaEngine {
		_, err := KafkaJars(ctx, out)
		return err
	}
	return nil
}

func apt(ctx context.Context, out io.Writer, names ...string) error {
	for _, args := range [][]string{
		{"update", "-qq"},
		append([]string{"install", "-y", "-qq", "--no-install-recommends"}, names...),
	} {
		cmd := exec.CommandContext(ctx, "apt-get", args...)
		cmd.Env = append(os.Environ(), "DEBIAN_FRONTEND=noninteractive")
		cmd.Stdout, cmd.Stderr = out, out
		if err := cmd.Run(); err != nil {
			return fmt.Errorf("apt-get %s: %w", args[0], err)
		}
	}
	return nil
}
