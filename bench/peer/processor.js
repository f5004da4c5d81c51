// node processor.js REDIS-PORT MYSQL-PORT DATABASE: the documents' order processor. It takes up to 500 orders from the queue, inserts 100
// with one statement, and waits a second between two inserts. Rows go into one table, as in the documents.
import { setTimeout as wait } from 'node:timers/promises'
import { Redis } from 'ioredis'
import mysql from 'mysql2/promise'

const [redisPort, mysqlPort, database] = process.argv.slice(2)
const [rows, poll, pause] = [100, 500, 1000]

const redis = new Redis({ port: Number(redisPort), host: '127.0.0.1' })
const db = await mysql.createConnection({ host: '127.0.0.1', port: Number(mysqlPort), user: 'root', database })
await db.query(`CREATE TABLE IF NOT EXISTS orders (id BIGINT AUTO_INCREMENT PRIMARY KEY, user_id VARCHAR(64) NOT NULL, sku_id VARCHAR(64) NOT NULL,
  quantity INT NOT NULL, price BIGINT NOT NULL, status INT NOT NULL, created_at BIGINT NOT NULL)`)
console.log('ready')

for (;;) {
  const batch = await redis.lpop('flashsale:queue', poll)
  if (!batch) {
    await wait(100)
    continue
  }
  for (let i = 0; i < batch.length; i += rows) {
    const some = batch.slice(i, i + rows).map((text) => {
      const o = JSON.parse(text)
      return [o.userId, o.skuId, o.quantity, o.price, o.status, Date.now()]
    })
    await db.query('INSERT INTO orders (user_id, sku_id, quantity, price, status, created_at) VALUES ?', [some])
    if (i + rows < batch.length) await wait(pause)
  }
}
