package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"time"

	"penstock/internal/engines/launch"
)

// startTimeout is for one engine, without installing it.
const startTimeout = 2 * time.Minute

// control carries one command out. What was asked for goes to out, progress to log.
type control struct {
	settings
	out, log io.Writer
}

func (c *control) up(ctx context.Context, engines []string) error {
	unlock, err := launch.Lock(filepath.Join(c.base, "lock"))
	if err != nil {
		return err
	}
	defer unlock()
	containers, err := c.containers(ctx)
	if err != nil {
		return err
	}
	if containers != nil {
		return c.upContainers(ctx, containers, engines)
	}
	for _, e := range engines {
		if err := c.upPackage(ctx, e); err != nil {
			return err
		}
		fmt.Fprintf(c.out, "%-6s up    %s\n", e, c.url(e))
	}
	return nil
}

// upPackage starts an engine from Debian's packages and jars.
func (c *control) upPackage(ctx context.Context, engine string) error {
	if err := launch.Install(ctx, engine, c.log); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	spec, err := launch.Single(ctx, engine, c.base, c.ports[engine], c.log)
	if err != nil {
		return err
	}
	fmt.Fprintf(c.log, "%s: %s, data and log in %s\n", engine, spec.Version, spec.Dir)
	start := time.Now()
	started, err := launch.Up(ctx, spec)
	if err != nil {
		return err
	}
	if started {
		fmt.Fprintf(c.log, "%s: ready after %.1f s\n", engine, time.Since(start).Seconds())
	} else {
		fmt.Fprintf(c.log, "%s: was up before\n", engine)
	}
	if engine == launch.MySQL {
		return launch.CreateDatabase(ctx, spec.Addr(), database)
	}
	return nil
}

// down ends what either way of starting has left, whichever is chosen now.
func (c *control) down(ctx context.Context, engines []string) error {
	unlock, err := launch.Lock(filepath.Join(c.base, "lock"))
	if err != nil {
		return err
	}
	defer unlock()
	var errs []error
	for _, e := range engines {
		stopped, err := launch.Down(ctx, launch.Home(c.base, e))
		if stopped {
			fmt.Fprintf(c.log, "%s: ended\n", e)
		}
		errs = append(errs, err)
	}
	containers, err := c.containers(ctx)
	if containers != nil {
		err = containers.down(ctx, engines)
	}
	if err := errors.Join(append(errs, err)...); err != nil {
		return err
	}
	for _, e := range engines {
		fmt.Fprintf(c.out, "%-6s down\n", e)
	}
	return nil
}

func (c *control) status(ctx context.Context, engines []string) error {
	containers, err := c.containers(ctx)
	if err != nil {
		return err
	}
	inContainers := map[string]bool{}
	if containers != nil {
		if inContainers, err = containers.running(ctx); err != nil {
			return err
		}
	}
	down := 0
	for _, e := range engines {
		_, port, ok := launch.Running(launch.Home(c.base, e))
		switch {
		case ok:
			c.ports[e] = port // it may have been started with other settings
			fmt.Fprintf(c.out, "%-6s up    %s\n", e, c.url(e))
		case inContainers[e]:
			fmt.Fprintf(c.out, "%-6s up    %s  (container)\n", e, c.url(e))
		default:
			down++
			fmt.Fprintf(c.out, "%-6s down\n", e)
		}
	}
	if down > 0 {
		return fmt.Errorf("%d of %d down", down, len(engines))
	}
	return nil
}
