package app

import (
	"crypto/rand"
	"strings"
	"time"

	"penstock/gateway/api"
	"penstock/web"
)

// shopDeps adds the pages of the public listener, and, in a demonstration, what gives their visitors a name.
func (a *App) shopDeps(d *api.Deps) (err error) {
	o := web.Options{}
	if a.cfg.DemoLogin {
		o.Login, d.DemoLogin = "demo", demoLogin{a}
	}
	d.Face, err = web.Storefront(o)
	return err
}

// demoLogin makes every browser a buyer of its own.
type demoLogin struct{ a *App }

// demoBuyerLife is how long a visitor of a demonstration stays who he is.
const demoBuyerLife = 30 * 24 * time.Hour

// Buyer returns a user nobody has been before, and a token that speaks for him.
func (l demoLogin) Buyer() (user, token string, err error) {
	user = "visitor-" + strings.ToLower(rand.Text()[:10])
	token, err = l.a.Token(user, "", demoBuyerLife)
	return user, token, err
}
