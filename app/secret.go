package app

import (
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"strings"

	"penstock/internal/durable"
	"penstock/webhook/standard"
)

type webhookSecret = standard.Secret

// keptSecret returns the secret kept in a file of the data directory, readable by its owner only, and makes it the first time.
func (a *App) keptSecret(name string) (webhookSecret, error) {
	path := a.path(name)
	text, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		secret, err := standard.NewSecret(rand.Reader)
		if err != nil {
			return secret, err
		}
		return secret, durable.WriteFile(path, []byte(secret.Reveal()+"\n"), 0o600)
	}
	if err != nil {
		return webhookSecret{}, err
	}
	secret, err := standard.ParseSecret(strings.TrimSpace(string(text)))
	if err != nil {
		return secret, fmt.Errorf("%s: %w; delete the file to have a new secret made", path, err)
	}
	return secret, nil
}

func (a *App) webhookSecret() (webhookSecret, error) {
	if a.cfg.Payment.Secret != "" {
		return standard.ParseSecret(a.cfg.Payment.Secret)
	}
	return a.keptSecret("webhook.secret")
}
