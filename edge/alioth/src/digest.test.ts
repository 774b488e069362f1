import { digestAuthorization, strongestChallenge } from './digest';

const responseOf = (header: string): string | undefined => /response="(\w+)"/.exec(header)?.[1];
const rfc7616 = {
  credentials: { username: 'Mufasa', password: 'Circle of Life' },
  request: { method: 'GET', uri: '/dir/index.html', nc: 1, cnonce: 'f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ' },
  offer: (algorithm: string) =>
    `Digest realm="http-auth@example.org", qop="auth, auth-int", algorithm=${algorithm}, nonce="7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v", opaque="FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS"`,
};

describe('digest', () => {
  it.each([
    ['MD5', '8ca523f5e9506fed4657c9700eebdbec'],
    ['SHA-256', '753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1'],
  ])('answers the example of RFC 7616 with %s', (algorithm, response) => {
    const challenge = strongestChallenge([rfc7616.offer(algorithm)]);
    if (!challenge) throw new Error('not understood');
    const header = digestAuthorization(challenge, rfc7616.credentials, rfc7616.request);
    expect(responseOf(header)).toBe(response);
    expect(header).toContain('nc=00000001');
    expect(header).toContain('opaque="FQhe/');
  });

  it('answers the example of RFC 2617, where no algorithm is named', () => {
    const challenge = strongestChallenge([
      'Digest realm="testrealm@host.com", qop="auth,auth-int", nonce="dcd98b7102dd2f0e8b11d0f600bfb0c093", opaque="5ccc069c403ebaf9f0171e9517f40e41"',
    ]);
    if (!challenge) throw new Error('not understood');
    const request = { method: 'GET', uri: '/dir/index.html', nc: 1, cnonce: '0a4f113b' };
    expect(responseOf(digestAuthorization(challenge, { username: 'Mufasa', password: 'Circle Of Life' }, request))).toBe(
      '6629fae49393a05397450978507c4ef1',
    );
  });

  it('takes the strongest of several offers, never Basic, and reads stale in any case', () => {
    const several = [
      'Digest realm="a", nonce="1", qop="auth", stale="TRUE", Digest realm="a", nonce="2", qop="auth", algorithm=SHA-256',
      'Basic realm="a"',
    ];
    expect(strongestChallenge(several)).toMatchObject({ algorithm: 'SHA-256', nonce: '2', stale: false });
    expect(strongestChallenge(several.slice(0, 1).map((o) => o.split(', Digest')[0] as string))).toMatchObject({
      algorithm: 'MD5',
      stale: true,
    });
    expect(strongestChallenge(['Basic realm="a"'])).toBeUndefined();
    expect(strongestChallenge(['Digest realm="a", nonce="1", qop="auth-int"', 'Digest garbage', ''])).toBeUndefined();
  });
});
