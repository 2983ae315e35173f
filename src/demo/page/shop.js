// A plain single-page shop without a framework. What it sends is sent by the SDK: page views by
// themselves, clicks by data-track attributes, and what is left by clickstream.track().

const PRODUCTS = [
  ['101', 'Linen shirt', 'Apparel', 'Topwear', '39.90'],
  ['102', 'Rain jacket', 'Apparel', 'Topwear', '89.00'],
  ['103', 'Blue jeans', 'Apparel', 'Bottomwear', '59.50'],
  ['104', 'Summer dress', 'Apparel', 'Dress', '49.90'],
  ['201', 'Running shoes', 'Footwear', 'Shoes', '99.00'],
  ['202', 'Sandals', 'Footwear', 'Sandals', '29.90'],
  ['301', 'City bag', 'Accessories', 'Bags', '74.00'],
  ['302', 'Sunglasses', 'Accessories', 'Eyewear', '24.90'],
  ['303', 'Wrist watch', 'Accessories', 'Watches', '129.00'],
  ['401', 'Perfume', 'Personal Care', 'Fragrance', '44.00'],
].map(([id, name, category, sub, price], i) => ({
  id,
  name,
  category,
  sub,
  price,
  tint: `p${i % 4}`,
}));

const page = document.getElementById('page');
const cart = JSON.parse(sessionStorage.getItem('cart') ?? '[]');
let promoCode = '';

const asText = (text) => text.replace(/[&<>"]/g, (c) => `&#${c.charCodeAt(0)};`);
const product = (id) => PRODUCTS.find((p) => p.id === id);
const total = () => cart.reduce((sum, id) => sum + Number(product(id).price), 0).toFixed(2);
const fields = (p) => ({
  product_id: p.id,
  master_category: p.category,
  sub_category: p.sub,
  item_price: p.price,
  currency: 'EUR',
});

const tile = (p) => `<a class="tile" href="/demo/product/${p.id}">
  <span class="picture ${p.tint}" aria-hidden="true">${p.name[0]}</span>
  <p>${p.name}<br /><small>${p.price} €</small></p></a>`;
const tiles = (list) => `<div class="tiles">${list.map(tile).join('')}</div>`;

function show(name, title, html) {
  document.body.dataset.page = name;
  document.title = `${title} · Demo shop`;
  page.innerHTML = `<h1>${title}</h1>${html}`;
  document.getElementById('cart-count').textContent = String(cart.length);
}

function draw() {
  const [, , kind, id] = location.pathname.split('/');
  const query = new URLSearchParams(location.search).get('q');
  if (kind === 'product' && product(id)) {
    const p = product(id);
    show(
      'ITEM_DETAIL',
      p.name,
      `<div class="detail"><span class="picture ${p.tint}" aria-hidden="true">${p.name[0]}</span><div>
      <p class="muted">${p.category} · ${p.sub}</p><p><b>${p.price} €</b></p>
      <button data-add="${p.id}">Add to cart</button></div></div>`,
    );
  } else if (kind === 'promo') {
    show(
      'PROMO_PAGE',
      'Autumn offer',
      `<p>Ten euros off with the code AUTUMN10.</p><button data-promo="AUTUMN10">Use the code</button>${tiles(PRODUCTS.slice(0, 4))}`,
    );
  } else if (kind === 'search') {
    const found = PRODUCTS.filter((p) =>
      `${p.name} ${p.category} ${p.sub}`.toLowerCase().includes((query ?? '').toLowerCase()),
    );
    show(
      'page_view',
      `“${asText(query ?? '')}”`,
      found.length > 0 ? tiles(found) : '<p>Nothing found.</p>',
    );
  } else if (kind === 'cart') {
    const lines = cart
      .map((c) => `<li><span>${product(c).name}</span><span>${product(c).price} €</span></li>`)
      .join('');
    show(
      'page_view',
      'Cart',
      cart.length === 0
        ? '<p>Nothing in it yet.</p>'
        : `<ul class="lines">${lines}<li><b>Total</b><b>${total()} €</b></li></ul>
      <button data-pay="Success">Pay by card</button><button class="quiet" data-pay="Failed">Pay with a card that fails</button>`,
    );
  } else if (kind === 'thanks') {
    show(
      'page_view',
      'Thank you',
      '<p>Your order is on its way. Not really: this is a demo.</p><p><a href="/demo">Back to the shop</a></p>',
    );
  } else {
    show('HOMEPAGE', 'Fashion for every day', tiles(PRODUCTS));
  }
}

function go(address) {
  history.pushState(null, '', address);
  draw();
  page.focus();
}

document.addEventListener('click', (event) => {
  const link = event.target.closest('a[href^="/demo"]');
  if (link) {
    event.preventDefault();
    go(link.getAttribute('href'));
    return;
  }
  const { add, promo, pay } = event.target.dataset;
  if (add) {
    cart.push(add);
    clickstream.track('ADD_TO_CART', { ...fields(product(add)), quantity: 1 });
    sessionStorage.setItem('cart', JSON.stringify(cart));
    document.getElementById('cart-count').textContent = String(cart.length);
  } else if (promo) {
    promoCode = promo;
    clickstream.track('ADD_PROMO', { promo_code: promo, promo_amount: '10', currency: 'EUR' });
  } else if (pay) {
    clickstream.track('BOOKING', {
      booking_id: `demo-${crypto.randomUUID()}`,
      payment_method: 'Credit Card',
      payment_status: pay,
      value: total(),
      currency: 'EUR',
      promo_code: promoCode,
      items: cart.map((id) => {
        const { currency, ...item } = fields(product(id));
        return { ...item, quantity: 1 };
      }),
    });
    if (pay === 'Success') {
      cart.length = 0;
      sessionStorage.removeItem('cart');
      go('/demo/thanks');
    }
  }
});

document.querySelector('form').addEventListener('submit', (event) => {
  event.preventDefault();
  const q = new FormData(event.target).get('q').trim();
  if (q === '') return;
  clickstream.track('SEARCH', { search_keywords: q });
  go(`/demo/search?q=${encodeURIComponent(q)}`);
});
addEventListener('popstate', draw);

// The strip at the foot shows what is sent, by listening in on the SDK's one request.
const send = window.fetch;
window.fetch = async (address, options) => {
  const response = await send(address, options);
  if (String(address).includes('/v1/events')) {
    const list = document.getElementById('sent');
    for (const sent of JSON.parse(options.body).events) {
      const entry = document.createElement('li');
      entry.textContent = `${sent.event_name} ${response.status === 202 ? '✓' : response.status}`;
      list.prepend(entry);
    }
    while (list.children.length > 12) list.lastChild.remove();
  }
  return response;
};
draw();
