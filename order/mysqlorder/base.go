package mysqlorder

import "penstock/engine/mysql"

// Base returns the database that the first URL names, on its primary: the place for what belongs beside the orders.
func (c Config) Base() mysql.Config { return c.servers[0].primary }
