// Sequelize against two nodes, as an application would use it: introspection, models, transactions, bulk writes, upserts.
// Prints "ok NAME" or "not ok NAME" for each thing that it tries; 077_tools.pl starts it, brings clients on and off, and looks at the rows.
//   node sequelize.js URL_OF_A_NODE URL_OF_ANOTHER
'use strict';
const { Sequelize, DataTypes, Op, QueryTypes } = require(process.env.ORM_MODULES + '/sequelize');

const [here, there] = process.argv.slice(2).map((url) => new Sequelize(url, { logging: false, pool: { max: 3 } }));
let failed = 0;

async function check(name, fn) {
  try {
    await fn();
    console.log(`ok ${name}`);
  } catch (e) {
    failed++;
    console.log(`not ok ${name}: ${e.message} ${e.original ? e.original.detail || '' : ''}`.replace(/\n/g, ' '));
  }
}
function same(got, expected) {
  if (JSON.stringify(got) !== JSON.stringify(expected)) throw new Error(`got ${JSON.stringify(got)}, expected ${JSON.stringify(expected)}`);
}

function models(db) {
  const Trip = db.define('trip', {
    car: { type: DataTypes.TEXT, primaryKey: true },
    id: { type: DataTypes.INTEGER, primaryKey: true },
    note: DataTypes.TEXT,
    km: DataTypes.DECIMAL(8, 2),
    tags: DataTypes.JSONB,
    createdAt: { type: DataTypes.DATE, field: 'created_at' },
    updatedAt: { type: DataTypes.DATE, field: 'updated_at' },
  }, { tableName: 'trip' });
  const Stop = db.define('stop', {
    car: { type: DataTypes.TEXT, primaryKey: true },
    trip: { type: DataTypes.INTEGER, primaryKey: true },
    place: { type: DataTypes.TEXT, primaryKey: true },
  }, { tableName: 'stop', timestamps: false });
  return { Trip, Stop };
}

// What an application does for one car, whose rows may lie at the node that it asks, or at another.
async function one_car(db, car) {
  const { Trip, Stop } = models(db);
  const named = (what) => `${car}: ${what}`;
  await check(named('create'), async () => {
    const t = await Trip.create({ car, id: 1, note: 'first', km: '1.50', tags: { a: [1, 2] } });
    same([t.note, t.km, t.tags.a[1]], ['first', '1.50', 2]);
  });
  await check(named('bulkCreate with RETURNING'), async () => {
    const made = await Trip.bulkCreate([2, 3, 4, 5].map((id) => ({ car, id, note: `n${id}`, km: id })), { returning: true });
    same(made.map((t) => t.id), [2, 3, 4, 5]);
    await Stop.bulkCreate([{ car, trip: 1, place: 'x' }, { car, trip: 1, place: 'y' }]);
  });
  await check(named('findAll, findOne, count, aggregates'), async () => {
    same((await Trip.findAll({ where: { car, id: { [Op.gt]: 2 } }, order: ['id'] })).map((t) => t.note), ['n3', 'n4', 'n5']);
    same((await Trip.findOne({ where: { car, id: 1 } })).tags, { a: [1, 2] });
    same([await Trip.count({ where: { car } }), await Trip.max('id', { where: { car } }), await Trip.sum('km', { where: { car } })], [5, 5, 15.5]);
    same((await Trip.findAndCountAll({ where: { car }, order: ['id'], limit: 2, offset: 1 })).rows.map((t) => t.id), [2, 3]);
  });
  await check(named('update, save, increment'), async () => {
    const [n, rows] = await Trip.update({ note: 'changed' }, { where: { car, id: [2, 3] }, returning: true });
    same([n, rows.map((t) => t.note)], [2, ['changed', 'changed']]);
    const t = await Trip.findOne({ where: { car, id: 1 } });
    t.note = 'saved';
    await t.save();
    await t.increment('km', { by: 2 });
    await t.reload();
    same([t.note, t.km], ['saved', '3.50']);
  });
  await check(named('upsert'), async () => {
    const [a] = await Trip.upsert({ car, id: 5, note: 'upserted' });
    const [b] = await Trip.upsert({ car, id: 6, note: 'upserted too' });
    same([a.note, b.note, await Trip.count({ where: { car } })], ['upserted', 'upserted too', 6]);
    await Trip.bulkCreate([{ car, id: 6, note: 'again' }, { car, id: 7, note: 'new' }], { updateOnDuplicate: ['note'] });
    same((await Trip.findAll({ where: { car, id: [6, 7] }, order: ['id'] })).map((t) => t.note), ['again', 'new']);
  });
  await check(named('findOrCreate'), async () => {
    const [, made] = await Trip.findOrCreate({ where: { car, id: 8 }, defaults: { note: 'made' } });
    const [t, again] = await Trip.findOrCreate({ where: { car, id: 8 } });
    same([made, again, t.note], [true, false, 'made']);
  });
  await check(named('a transaction that commits, one that rolls back, one within another'), async () => {
    await db.transaction(async (transaction) => {
      const t = await Trip.findOne({ where: { car, id: 1 }, transaction, lock: transaction.LOCK.UPDATE });
      await t.update({ note: 'in a transaction' }, { transaction });
      await db.transaction({ transaction }, async (inner) => {
        await Trip.destroy({ where: { car, id: 8 }, transaction: inner });
        throw new Error('undo');
      }).catch((e) => same(e.message, 'undo'));
    });
    await db.transaction(async (transaction) => {
      await Trip.destroy({ where: { car }, transaction });
      same(await Trip.count({ where: { car }, transaction }), 0);
      throw new Error('undo');
    }).catch((e) => same(e.message, 'undo'));
    same([(await Trip.findOne({ where: { car, id: 1 } })).note, await Trip.count({ where: { car } })], ['in a transaction', 8]);
  });
  await check(named('a duplicate key is a UniqueConstraintError'), async () => {
    const e = await Trip.create({ car, id: 1 }).then(() => null, (x) => x);
    same([e && e.name, e && e.fields], ['SequelizeUniqueConstraintError', { car, id: '1' }]);
  });
  await check(named('destroy'), async () => {
    same(await Trip.destroy({ where: { car, id: [7, 8] } }), 2);
    same(await Trip.count({ where: { car } }), 6);
  });
  await check(named('a join'), async () => {
    const rows = await db.query('SELECT t.note, s.place FROM trip t JOIN stop s ON s.car = t.car AND s.trip = t.id WHERE t.car = $1 ORDER BY s.place',
      { bind: [car], type: QueryTypes.SELECT });
    same(rows, [{ note: 'in a transaction', place: 'x' }, { note: 'in a transaction', place: 'y' }]);
  });
}

async function schema(db) {
  const q = db.getQueryInterface();
  await check('introspection: tables', async () => {
    const names = (await q.showAllTables()).map((t) => t.tableName || t);
    same(names.filter((n) => ['trip', 'stop', 'trip_elsewhere', 'stop_elsewhere'].includes(n)).sort(), ['stop', 'trip']);
  });
  await check('introspection: columns, key, indexes', async () => {
    const columns = await q.describeTable('trip');
    same(Object.keys(columns).filter((c) => columns[c].primaryKey), ['car', 'id']);
    same([columns.km.type, columns.tags.type, columns.note.allowNull], ['NUMERIC', 'JSONB', true]);
    same((await q.showIndex('trip')).map((i) => [i.name, i.primary]), [['trip_note_idx', false], ['trip_pkey', true]]);
  });
  await check('sync() finds that all is there', async () => {
    const { Trip, Stop } = models(db);
    await Trip.sync();
    await Stop.sync();
  });
}

async function main() {
  await schema(here);
  for (const car of ['resident', 'elsewhere', 'unknown']) await one_car(here, car);
  const { Trip } = models(there);
  await check('the other node sees it all', async () => {
    same((await Trip.findAll({ attributes: ['car', [there.fn('count', there.col('id')), 'n']], group: ['car'], order: ['car'], raw: true })).map((r) => [r.car, Number(r.n)]),
      [['elsewhere', 6], ['resident', 6], ['unknown', 6]]);
  });
  await Promise.all([here.close(), there.close()]);
  process.exit(failed ? 1 : 0);
}
main();
