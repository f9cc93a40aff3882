// Keeps the page true: on every event it asks for the page again and changes what differs, so that focus, scrolling and
// what was opened stay. What it cannot keep true it says so of.
(() => {
  'use strict';
  const main = document.querySelector('main[data-live]'), live = document.getElementById('live');
  if (!main || !live || !window.EventSource) return;
  const QUIET = 12000, AGAIN = 2000, PACE = 1000;
  let source = null, offset = 0, heard = 0, told = Date.now(), on = false, busy = false, again = false, due = null, next = 0, retry = null;

  const day = ms => new Date(ms).toISOString().slice(11, 19) + ' UTC';
  const distance = ms => {
    const s = Math.floor((Math.abs(ms) + 500) / 1000);
    if (s === 0) return 'now';
    const span = s < 120 ? s + ' s' : s < 7200 ? Math.floor(s / 60) + ' min' : s < 172800 ? Math.floor(s / 3600) + ' h' : Math.floor(s / 86400) + ' days';
    return ms > 0 ? 'in ' + span : span + ' ago';
  };
  const write = (node, text) => { if (node.textContent !== text) node.textContent = text; };
  const tick = () => {
    const now = Date.now() + offset;
    for (const time of main.querySelectorAll('time[data-t]')) {
      const at = Number(time.dataset.t);
      write(time, on ? distance(at - now) : 'at ' + day(at));
    }
  };
  const show = (is, words) => {
    on = is;
    live.className = is ? 'live' : 'lost';
    write(live, words);
    main.classList.toggle('old', !is);
    tick();
  };

  const same = (a, b) => a.nodeType === b.nodeType && a.nodeName === b.nodeName && (a.id || '') === (b.id || '');
  const morph = (old, fresh) => {
    for (const { name } of [...old.attributes]) if (name !== 'open' && !fresh.hasAttribute(name)) old.removeAttribute(name);
    for (const { name, value } of fresh.attributes) if (name !== 'open' && old.getAttribute(name) !== value) old.setAttribute(name, value);
    let at = old.firstChild;
    for (const next of fresh.childNodes) {
      if (next.id && !(at && same(at, next))) {
        let found = at;
        while (found && found.id !== next.id) found = found.nextSibling;
        if (found) { old.moveBefore ? old.moveBefore(found, at) : old.insertBefore(found, at); at = found; }
      }
      if (at && same(at, next)) {
        if (at.nodeType === 1) morph(at, next); else if (at.data !== next.data) at.data = next.data;
        at = at.nextSibling;
      } else old.insertBefore(document.importNode(next, true), at);
    }
    while (at) { const gone = at; at = at.nextSibling; gone.remove(); }
  };

  const lose = why => {
    if (source) source.close();
    source = null;
    clearTimeout(due); due = null;
    if (on || live.className !== 'lost') show(false, 'Not live since ' + day(told) + ', trying again. What you see is old.' + (why || ''));
    clearTimeout(retry);
    retry = setTimeout(connect, AGAIN);
  };
  const refresh = async () => {
    due = null;
    if (!source) return;
    if (busy) { again = true; return; }
    const from = source;
    busy = true;
    const began = performance.now();
    try {
      const query = new URLSearchParams(location.search);
      query.set('part', 'live');
      const answer = await fetch(location.pathname + '?' + query, { cache: 'no-store', signal: AbortSignal.timeout(10000) });
      if (answer.status === 401) throw new Error(' You are logged out: reload the page.');
      if (!answer.ok) throw new Error('');
      const fresh = new DOMParser().parseFromString(await answer.text(), 'text/html').querySelector('main');
      if (!fresh) throw new Error('');
      if (from !== source) return;
      morph(main, fresh);
      document.title = main.dataset.title || document.title;
      told = Date.now() + offset;
      show(true, 'Live');
    } catch (e) {
      if (from === source) lose(e.message.startsWith(' ') ? e.message : '');
    } finally {
      // A page that takes long to make is asked for less often.
      const now = performance.now();
      next = Math.max(began + PACE, now + 4 * (now - began));
      busy = false;
      if (again) { again = false; soon(); }
    }
  };
  const soon = () => { if (due === null) due = setTimeout(refresh, Math.max(0, next - performance.now())); };
  const connect = () => {
    const mine = source = new EventSource('/api/v1/events');
    heard = performance.now();
    const hear = () => { if (mine === source) { heard = performance.now(); soon(); } };
    mine.addEventListener('alive', e => { offset = JSON.parse(e.data).now - Date.now(); hear(); });
    for (const kind of ['head', 'actuator', 'lagged']) mine.addEventListener(kind, hear);
    mine.onerror = () => { if (mine === source) lose(); };
  };
  setInterval(() => { if (source && performance.now() - heard > QUIET) lose(); else if (on || live.className === 'lost') tick(); }, 1000);
  addEventListener('pagehide', () => { if (source) source.close(); source = null; clearTimeout(retry); });
  addEventListener('pageshow', e => { if (e.persisted) connect(); });
  connect();
})();
