package draw

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

const seed = 20261111

func sample(t testing.TB, n int) Documents {
	t.Helper()
	secret := sha256.Sum256([]byte("the shop's secret"))
	all := Documents{}
	for _, sku := range []string{"lamp", "té<&>\u2028"} {
		d := Document{Version: 1, Sale: "first", SKU: sku, ClosesAt: Moment(time.Unix(1e9, 5e6)), Commitment: Commit(secret[:]), PublicSource: "drand round 7"}
		var list []string
		for i := range n {
			list = append(list, Entrant([]byte(fmt.Sprintf("salt of %09d", i)), fmt.Sprint("user-", i)))
		}
		d.Close(Moment(time.Unix(1e9, 9e6)), list)
		if err := d.Draw(secret[:], "8f2c"); err != nil {
			t.Fatal(err)
		}
		all.Draws = append(all.Draws, d)
	}
	return all
}

// judge runs the verifier of examples/draw-verify, which shares no code with this package.
func judge(t *testing.T, text []byte) error {
	t.Helper()
	file := filepath.Join(t.TempDir(), "draw.json")
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command("node", "../../examples/draw-verify/verify.mjs", file).CombinedOutput()
	if err != nil {
		return fmt.Errorf("%w: %s", err, out)
	}
	return nil
}

// A document verifies, here and in the independent verifier; with any byte altered it does not verify here, and with one of a
// hundred altered bytes, drawn at random, not there.
func TestAnyAlteredByteDisagrees(t *testing.T) {
	t.Parallel()
	text := sample(t, 9).Spell()
	if _, err := Verify(text, nil); err != nil {
		t.Fatal(err)
	}
	for i := range text {
		bad := append([]byte(nil), text...)
		bad[i] ^= 1
		if _, err := Verify(bad, nil); !errors.Is(err, ErrDisagrees) {
			t.Fatalf("byte %d (%q) altered: %v", i, text[i], err)
		}
	}
	if _, err := exec.LookPath("node"); err != nil {
		t.Log("node is not installed: the independent verifier was not run")
		return
	}
	if err := judge(t, text); err != nil {
		t.Fatal(err)
	}
	t.Log("seed", seed)
	rng := rand.New(rand.NewPCG(seed, 1))
	for range 25 {
		i := rng.IntN(len(text))
		bad := append([]byte(nil), text...)
		bad[i] ^= 1
		if judge(t, bad) == nil {
			t.Errorf("byte %d (%q) altered: the independent verifier agrees", i, text[i])
		}
	}
}

// What was published before the pot closed cannot be exchanged afterwards, even by a whole new draw that agrees with itself.
func TestCommitmentHolds(t *testing.T) {
	t.Parallel()
	before := sample(t, 3)
	other := sample(t, 3)
	secret := sha256.Sum256([]byte("a better secret"))
	d := &other.Draws[0]
	d.Commitment = Commit(secret[:])
	d.Close(d.ListedAt, d.Entrants)
	if err := d.Draw(secret[:], "8f2c"); err != nil {
		t.Fatal(err)
	}
	if _, err := Verify(other.Spell(), nil); err != nil {
		t.Fatal(err)
	}
	if _, err := Verify(other.Spell(), &before); !errors.Is(err, ErrDisagrees) {
		t.Errorf("another secret than the one committed to: %v", err)
	}
}

// Every entrant has the same chance of every place: over many draws the places of one entrant are uniform (chi-square).
func TestPlacesAreUniform(t *testing.T) {
	t.Parallel()
	const entrants, draws = 10, 5000
	d := sample(t, entrants).Draws[0]
	var counts [entrants]int
	for i := range draws {
		secret := sha256.Sum256(fmt.Appendf(nil, "%d/%d", seed, i))
		if err := d.Draw(secret[:], "v"); err != nil {
			t.Fatal(err)
		}
		for place, who := range d.Order {
			if who == 0 {
				counts[place]++
			}
		}
	}
	chi, want := 0.0, float64(draws)/entrants
	for _, n := range counts {
		chi += math.Pow(float64(n)-want, 2) / want
	}
	// 27.88 is exceeded by chance once in a thousand with 9 degrees of freedom.
	if t.Logf("seed %d, chi-square %.1f", seed, chi); chi > 27.88 {
		t.Errorf("places %v, chi-square %.1f", counts, chi)
	}
}

// An entrant finds himself with his salt and his id.
func TestEntrantFindsHimself(t *testing.T) {
	t.Parallel()
	d := sample(t, 5).Draws[0]
	sum := sha256.Sum256([]byte("salt of 000000003user-3"))
	found := 0
	for _, e := range d.Entrants {
		if e == hex.EncodeToString(sum[:]) {
			found++
		}
	}
	if found != 1 {
		t.Errorf("found %d times", found)
	}
}
