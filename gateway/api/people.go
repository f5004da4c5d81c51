package api

import (
	"context"
	"net/http"
	"time"

	"penstock/errs"
	"penstock/gateway"
	"penstock/identity"
)

// People is what the calls about the users of the back office need. Each act names who did it.
type People interface {
	Users(ctx context.Context, after string, limit int) ([]identity.User, error)
	User(ctx context.Context, name string) (identity.User, error)
	Create(ctx context.Context, who string, u identity.User, password string) (identity.User, error)
	Change(ctx context.Context, who, why string, u identity.User) (before, after identity.User, err error)
	SetPassword(ctx context.Context, who, name, password, keep string) error
	secondFactors
	logins
}

type secondFactors interface {
	Enrol(ctx context.Context, who, name, keep string) (identity.Enrolment, error)
	BeginOwnFactor(ctx context.Context, from identity.From, who identity.Who, password string) (identity.Enrolment, error)
	ConfirmOwnFactor(ctx context.Context, from identity.From, who identity.Who, code string) error
	Unenrol(ctx context.Context, who, name, why string) error
}

type logins interface {
	Sessions(ctx context.Context, name string) ([]identity.Session, error)
	End(ctx context.Context, who, id, why string) error
	LogoutEverywhere(ctx context.Context, who, name, why string) (int64, error)
	OwnPassword(ctx context.Context, from identity.From, who identity.Who, old, fresh string) error
}

// Browser knows the browser that makes a call, and serves the pages of the login.
type Browser interface {
	Current(r *http.Request) (identity.Who, error)
	From(r *http.Request) identity.From
	Token(session string) string
	Handler() http.Handler
}

// BackOfficeUser is a person of the back office.
type BackOfficeUser struct {
	Name      string        `json:"name"`
	Display   string        `json:"display"`
	Email     string        `json:"email"`
	Role      identity.Role `json:"role" enum:"viewer,support,operator,admin"`
	Disabled  bool          `json:"disabled"`
	TOTP      bool          `json:"totp" doc:"a second factor is asked for"`
	Password  string        `json:"password,omitempty" doc:"the one that was generated, shown this one time"`
	CreatedAt time.Time     `json:"createdAt"`
	ChangedAt time.Time     `json:"changedAt"`
}

// BackOfficeSession is a login.
type BackOfficeSession struct {
	ID        string    `json:"id"`
	User      string    `json:"user"`
	CreatedAt time.Time `json:"createdAt"`
	SeenAt    time.Time `json:"seenAt" doc:"about when it was used last"`
	EndsAt    time.Time `json:"endsAt" doc:"at the latest"`
	Address   string    `json:"address"`
	Agent     string    `json:"agent"`
	Methods   []string  `json:"methods" nullable:"false" doc:"pwd, otp"`
}

// SecondFactor is shown once.
type SecondFactor struct {
	Secret   string   `json:"secret" doc:"base32"`
	URI      string   `json:"uri" doc:"for the QR code of an authenticator app"`
	Recovery []string `json:"recoveryCodes" nullable:"false" doc:"each stands in for the device, once"`
}

func wireUser(u identity.User) BackOfficeUser {
	return BackOfficeUser{
		Name: u.Name, Display: u.Display, Email: u.Email, Role: u.Role, Disabled: u.Disabled, TOTP: u.TOTP, CreatedAt: moment(u.Created), ChangedAt: moment(u.Changed),
	}
}

func wireSession(s identity.Session) BackOfficeSession {
	return BackOfficeSession{
		ID: s.ID, User: s.User, CreatedAt: moment(s.Created), SeenAt: moment(s.Seen), EndsAt: moment(s.Ends), Address: s.Address, Agent: s.Agent,
		Methods: append([]string{}, s.Methods...),
	}
}

// BackOfficeUserPath names a person.
type BackOfficeUserPath struct {
	User string `path:"user" maxLength:"64"`
}

type userOutput struct {
	CacheControl string `header:"Cache-Control"`
	Body         BackOfficeUser
}

type userCreate struct {
	Body struct {
		Name     string        `json:"name" maxLength:"64"`
		Display  string        `json:"display,omitempty" maxLength:"200"`
		Email    string        `json:"email,omitempty" maxLength:"200"`
		Role     identity.Role `json:"role" enum:"viewer,support,operator,admin"`
		Password string        `json:"password,omitempty" maxLength:"256" doc:"at least 12 bytes; without one, one is generated and answered"`
	}
}

type userChange struct {
	BackOfficeUserPath
	Body struct {
		Display  *string        `json:"display,omitempty" maxLength:"200"`
		Email    *string        `json:"email,omitempty" maxLength:"200"`
		Role     *identity.Role `json:"role,omitempty" enum:"viewer,support,operator,admin"`
		Disabled *bool          `json:"disabled,omitempty"`
		Reason   string         `json:"reason,omitempty" maxLength:"500"`
	}
}

type userPassword struct {
	BackOfficeUserPath
	Body *struct {
		Password string `json:"password,omitempty" maxLength:"256" doc:"at least 12 bytes; without one, one is generated and answered"`
	}
}

type userReason struct {
	BackOfficeUserPath
	Body *Reason
}

type secondFactorOutput struct {
	CacheControl string `header:"Cache-Control"`
	Body         SecondFactor
}

type endedOutput struct {
	Body struct {
		Ended int64 `json:"ended" doc:"sessions that are over now"`
	}
}

type meOutput struct {
	CacheControl string `header:"Cache-Control"`
	Body         struct {
		User    string             `json:"user"`
		Role    string             `json:"role"`
		CSRF    string             `json:"csrf,omitempty" doc:"for the header X-Csrf-Token; empty for a caller with a token"`
		Session *BackOfficeSession `json:"session,omitempty"`
		TOTP    bool               `json:"totp,omitempty" doc:"a second factor is asked for when you log in"`
	}
}

type ownPassword struct {
	Body struct {
		Old string `json:"old" maxLength:"256"`
		New string `json:"new" maxLength:"256" doc:"at least 12 bytes"`
	}
}

type ownSecondFactor struct {
	Body struct {
		Password string `json:"password" maxLength:"256" doc:"yours: a session alone is not enough"`
	}
}

type ownFirstCode struct {
	Body struct {
		Code string `json:"code" minLength:"1" maxLength:"64" doc:"the six digits that the authenticator app shows for the secret"`
	}
}

// peopleCalls are those about users, sessions and one's own account, and the pages of the login.
func (s *surface) peopleCalls() {
	if s.d.Browser != nil {
		pages := s.d.Browser.Handler()
		for _, pattern := range []string{"GET /login", "POST /login", "POST /logout"} {
			s.handle(pattern, gateway.ByAnyone, pages.ServeHTTP)
		}
	}
	register(s, operator("get-me", http.MethodGet, "/me", "Who you are"), s.me)
	register(s, operator("put-my-password", http.MethodPut, "/me/password", "Change your password; your other sessions end"), s.putOwnPassword)
	register(s, operator("put-my-totp", http.MethodPut, "/me/totp", "Begin a new second factor of your own: it is in force once a code of it is confirmed, within 30 minutes; beginning again replaces it"), s.putOwnTOTP)
	register(s, operator("confirm-my-totp", http.MethodPost, "/me/totp/confirmation", "Put the second factor that you began in force by a code of it; your other sessions end"), s.confirmOwnTOTP)
	register(s, operator("list-users", http.MethodGet, "/users", "The people of the back office, by name"), s.listUsers)
	create := operator("create-user", http.MethodPost, "/users", "Add a person")
	create.DefaultStatus = http.StatusCreated
	register(s, create, s.createUser)
	register(s, operator("get-user", http.MethodGet, "/users/{user}", "A person"), s.getUser)
	register(s, operator("change-user", http.MethodPatch, "/users/{user}", "Change, disable or enable a person; a new role or disabling ends all sessions"), s.changeUser)
	register(s, operator("put-user-password", http.MethodPut, "/users/{user}/password", "Give a person a new password; all sessions end"), s.putPassword)
	register(s, operator("put-user-totp", http.MethodPut, "/users/{user}/totp", "Give a person a new second factor, in force at once; all sessions end"), s.putTOTP)
	register(s, operator("delete-user-totp", http.MethodDelete, "/users/{user}/totp", "Take the second factor away; all sessions end"), s.deleteTOTP)
	register(s, operator("logout-user", http.MethodPost, "/users/{user}/logout", "End all sessions of a person"), s.logoutUser)
	register(s, operator("list-sessions", http.MethodGet, "/sessions", "Live sessions, newest first"), s.listSessions)
	register(s, operator("end-session", http.MethodDelete, "/sessions/{session}", "End a session"), s.endSession)
}

const noStore = "no-store"

func (s *surface) me(ctx context.Context, _ *struct{}) (*meOutput, error) {
	c := gateway.FromContext(ctx)
	out := &meOutput{CacheControl: noStore}
	out.Body.User, out.Body.Role = c.Who.User, c.Who.Role
	if who, err := s.current(c); err == nil {
		session := wireSession(who.Session)
		out.Body.CSRF, out.Body.Session, out.Body.TOTP = s.d.Browser.Token(who.Session.ID), &session, who.User.TOTP
	}
	return out, nil
}

// current is the session of a caller without a token.
func (s *surface) current(c *gateway.Call) (identity.Who, error) {
	if s.d.Browser == nil || len(c.R.Header["Authorization"]) > 0 {
		return identity.Who{}, errs.New(errs.Forbidden, "this call is for who logged in with a password")
	}
	return s.d.Browser.Current(c.R)
}

func (s *surface) putOwnPassword(ctx context.Context, in *ownPassword) (*struct{}, error) {
	c := gateway.FromContext(ctx)
	who, err := s.current(c)
	if err != nil {
		return nil, err
	}
	return nil, s.d.People.OwnPassword(ctx, s.d.Browser.From(c.R), who, in.Body.Old, in.Body.New)
}

func (s *surface) putOwnTOTP(ctx context.Context, in *ownSecondFactor) (*secondFactorOutput, error) {
	c := gateway.FromContext(ctx)
	who, err := s.current(c)
	if err != nil {
		return nil, err
	}
	e, err := s.d.People.BeginOwnFactor(ctx, s.d.Browser.From(c.R), who, in.Body.Password)
	if err != nil {
		return nil, err
	}
	return &secondFactorOutput{noStore, SecondFactor{e.Secret, e.URI, e.Recovery}}, nil
}

func (s *surface) confirmOwnTOTP(ctx context.Context, in *ownFirstCode) (*struct{}, error) {
	c := gateway.FromContext(ctx)
	who, err := s.current(c)
	if err != nil {
		return nil, err
	}
	return nil, s.d.People.ConfirmOwnFactor(ctx, s.d.Browser.From(c.R), who, in.Body.Code)
}

func (s *surface) listUsers(ctx context.Context, in *PageQuery) (*listOf[BackOfficeUser], error) {
	all, err := s.d.People.Users(ctx, in.Cursor, in.Limit)
	if err != nil {
		return nil, err
	}
	out := &listOf[BackOfficeUser]{Page[BackOfficeUser]{Items: each(all, wireUser)}}
	if n := len(all); n > 0 && n == in.Limit {
		out.Body.Next = all[n-1].Name
	}
	return out, nil
}

func (s *surface) createUser(ctx context.Context, in *userCreate) (*userOutput, error) {
	password, shown := in.Body.Password, ""
	if password == "" {
		password = identity.GeneratePassword()
		shown = password
	}
	u, err := s.d.People.Create(ctx, acting(ctx), identity.User{Name: in.Body.Name, Display: in.Body.Display, Email: in.Body.Email, Role: in.Body.Role}, password)
	if err != nil {
		return nil, err
	}
	out := &userOutput{noStore, wireUser(u)}
	out.Body.Password = shown
	return out, nil
}

func (s *surface) getUser(ctx context.Context, in *BackOfficeUserPath) (*userOutput, error) {
	u, err := s.d.People.User(ctx, in.User)
	if err != nil {
		return nil, err
	}
	return &userOutput{noStore, wireUser(u)}, nil
}

func (s *surface) changeUser(ctx context.Context, in *userChange) (*userOutput, error) {
	u, err := s.d.People.User(ctx, in.User)
	if err != nil {
		return nil, err
	}
	put(&u.Display, in.Body.Display)
	put(&u.Email, in.Body.Email)
	put(&u.Role, in.Body.Role)
	put(&u.Disabled, in.Body.Disabled)
	_, after, err := s.d.People.Change(ctx, acting(ctx), in.Body.Reason, u)
	if err != nil {
		return nil, err
	}
	return &userOutput{noStore, wireUser(after)}, nil
}

// put sets what a patch names.
func put[T any](to, from *T) {
	if from != nil {
		*to = *from
	}
}

func (s *surface) putPassword(ctx context.Context, in *userPassword) (*userOutput, error) {
	password, shown := "", ""
	if in.Body != nil {
		password = in.Body.Password
	}
	if password == "" {
		password = identity.GeneratePassword()
		shown = password
	}
	if err := s.d.People.SetPassword(ctx, acting(ctx), in.User, password, ""); err != nil {
		return nil, err
	}
	u, err := s.d.People.User(ctx, in.User)
	if err != nil {
		return nil, err
	}
	out := &userOutput{noStore, wireUser(u)}
	out.Body.Password = shown
	return out, nil
}

func (s *surface) putTOTP(ctx context.Context, in *BackOfficeUserPath) (*secondFactorOutput, error) {
	e, err := s.d.People.Enrol(ctx, acting(ctx), in.User, "")
	if err != nil {
		return nil, err
	}
	return &secondFactorOutput{noStore, SecondFactor{e.Secret, e.URI, e.Recovery}}, nil
}

func (s *surface) deleteTOTP(ctx context.Context, in *userReason) (*struct{}, error) {
	return nil, s.d.People.Unenrol(ctx, acting(ctx), in.User, in.Body.text())
}

func (s *surface) logoutUser(ctx context.Context, in *userReason) (*endedOutput, error) {
	n, err := s.d.People.LogoutEverywhere(ctx, acting(ctx), in.User, in.Body.text())
	if err != nil {
		return nil, err
	}
	out := &endedOutput{}
	out.Body.Ended = n
	return out, nil
}

func (s *surface) listSessions(ctx context.Context, in *struct {
	User string `query:"user" maxLength:"64"`
}) (*listOf[BackOfficeSession], error) {
	all, err := s.d.People.Sessions(ctx, in.User)
	if err != nil {
		return nil, err
	}
	return &listOf[BackOfficeSession]{Page[BackOfficeSession]{Items: each(all, wireSession)}}, nil
}

func (s *surface) endSession(ctx context.Context, in *struct {
	Session string `path:"session" maxLength:"64"`
	Body    *Reason
}) (*struct{}, error) {
	return nil, s.d.People.End(ctx, acting(ctx), in.Session, in.Body.text())
}
