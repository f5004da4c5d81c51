package main

import (
	"context"
	"fmt"
	"io"
	"os/exec"
	"strings"
	"time"

	"penstock/internal/engines/launch"
)

// compose is a container engine that answers and understands compose files.
type compose struct {
	program, file string
	log           io.Writer
}

// project names what belongs to Penstock among all containers.
const project = "penstock-engines"

// containers finds a container engine. It is nil when packages are to be used, by choice or because there is none.
func (c *control) containers(ctx context.Context) (*compose, error) {
	if c.by == "packages" {
		return nil, nil
	}
	for _, program := range []string{"docker", "podman"} {
		if answers(ctx, program, "compose", "version") && answers(ctx, program, "info") {
			return &compose{program: program, file: c.compose, log: c.log}, nil
		}
	}
	if c.by == "containers" {
		return nil, &launch.MissingError{Engine: "ENGINES_BY=containers", What: "docker or podman with compose, and its daemon answering",
			Do: "start it, or use ENGINES_BY=packages"}
	}
	return nil, nil
}

func answers(ctx context.Context, program string, args ...string) bool {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	return exec.CommandContext(ctx, program, args...).Run() == nil
}

func (c *control) upContainers(ctx context.Context, k *compose, engines []string) error {
	if _, err := k.do(ctx, append([]string{"up", "--detach", "--wait"}, engines...)...); err != nil {
		return err
	}
	for _, e := range engines {
		fmt.Fprintf(c.out, "%-6s up    %s  (container)\n", e, c.url(e))
	}
	return nil
}

func (k *compose) down(ctx context.Context, engines []string) error {
	_, err := k.do(ctx, append([]string{"rm", "--stop", "--force"}, engines...)...)
	return err
}

func (k *compose) running(ctx context.Context) (map[string]bool, error) {
	out, err := k.do(ctx, "ps", "--services", "--status", "running")
	services := map[string]bool{}
	for _, s := range strings.Fields(out) {
		services[s] = true
	}
	return services, err
}

// do runs compose, whose progress is shown, and returns what it printed as its result.
func (k *compose) do(ctx context.Context, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, k.program, append([]string{"compose", "--project-name", project, "--file", k.file}, args...)...)
	cmd.Stderr = k.log
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("%s compose %s: %w", k.program, args[0], err)
	}
	return string(out), nil
}
