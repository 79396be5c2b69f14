# Objects of every kind, and what CPython says of each: run by test_objects.c in every
# interpreter, which compares sys.getsizeof(), names, reprs, attributes and dict entries.
#
#   object ADDRESS SIZE TYPE REPR   REPR is UTF-8 in hexadecimal, "-" where pyretain shows more
#   class ADDRESS SIZE NAME
#   attribute ADDRESS NAME VALUE    an instance's own attributes
#   entry ADDRESS KEY VALUE         a dict's entries, in order
#   end
import sys, os, time, gc, types, collections, array, io, struct, re, functools, itertools, datetime, decimal, enum, weakref, ctypes, random, hashlib, zlib, threading, operator, fractions, uuid, pathlib
import xml.etree.ElementTree as ET
try: import sqlite3
except ImportError: sqlite3=None
try: import dataclasses
except ImportError: dataclasses=None
try: import contextvars
except ImportError: contextvars=None
try: import numpy as np
except ImportError: np=None
import queue
try: import _queue
except ImportError: _queue=None
import asyncio
import warnings
warnings.simplefilter('ignore')
O=[]
def add(label,o): O.append((label,o)); return o
# ints
for v in (0,1,-1,2**30-1,2**30,2**60,-2**60,2**90+12345,-(10**300),10**4000, 255, 256,257, 2**63, -2**63, 2**64): add('int',v)
add('bool',True); add('bool',False); add('none',None); add('ellipsis',...); add('notimpl',NotImplemented)
class MyInt(int): pass
class MyIntS(int): __slots__=()
add('myint',MyInt(0)); add('myint',MyInt(5)); add('myint',MyIntS(2**70)); a=MyInt(7); a.x=3; add('myint',a)
for v in (0.0,-0.0,1.0,1.5,0.1,1e16,1e15,123456789012345678.0,1e-4,1e-5,1.7976931348623157e308,5e-324,float('inf'),float('-inf'),float('nan'),1e22,1e23,3.141592653589793,2.5e-10,100000.0): add('float',v)
for v in (0j,1+2j,complex(-0.0,1),complex(1,-0.0),complex(0,float('nan')),complex(float('inf'),-1), 1.5j,-0.0-0.0j): add('complex',v)
S=['','a','abc','it\'s','"q"','both \' and "','\x00\x01\x1f\x7f','tab\tnl\ncr\r\\','é','ÿ\x80\xa0\xad','€','日本語','😀','a😀b','\ud800','\u200b\u2028','\U000e0001','\u0378', 'x'*100,'é'*50,'€'*50]
for s in S: add('str',s)
u='caf\u00e9'+str(os.getpid())
try: ctypes.pythonapi.PyUnicode_AsUTF8(ctypes.py_object(u))
except Exception: pass
add('str-utf8',u)
if sys.version_info<(3,12):
    try:
        # A string of wchar_t that is not ready: what the old API left behind.
        f=ctypes.pythonapi.PyUnicode_FromUnicode; f.restype=ctypes.py_object; f.argtypes=[ctypes.c_void_p,ctypes.c_ssize_t]
        add('str-legacy',f(None,5))
    except Exception: pass
    w2='wide\u20acx'+str(os.getpid())
    try:
        g=ctypes.pythonapi.PyUnicode_AsUnicode; g.restype=ctypes.c_void_p; g.argtypes=[ctypes.py_object]; g(w2)
    except Exception: pass
    add('str-wstr',w2)
class MyStr(str): pass
class MyStrS(str): __slots__=()
add('mystr',MyStr('hello')); add('mystr',MyStr('h\u00e9llo')); add('mystr',MyStrS('\u20ac')); a=MyStr('attr'); a.x=1; add('mystr',a)
for b in (b'',b'a',b'\x00\xff\'',b'"\'\n\t\r\\',b'x'*60): add('bytes',b)
class MyBytes(bytes): pass
a=MyBytes(b'sub'); a.x=1; add('mybytes',a)
for b in (b'',b'ab',b"it's"): add('bytearray',bytearray(b))
ba=bytearray(b'x'*100); del ba[:50]; add('bytearray',ba)
class MyBA(bytearray): pass
add('mybytearray',MyBA(b'zz'))
for t in ((),(1,),(1,2),('a',[1])): add('tuple',t)
class MyT(tuple): pass
a=MyT((1,2,3)); a.y=5; add('mytuple',a)
l=[]; add('list',l); l=[1,2,3]; add('list',l); l=[1]; l.append(l); add('list-rec',l)
l=list(range(8)); add('list',l); l=[]; [l.append(i) for i in range(5)]; add('list',l)
class MyL(list): pass
a=MyL([1]); add('mylist',a)
add('dict',{}); add('dict',{1:1}); add('dict',{'a':1}); add('dict',dict.fromkeys(range(6))); add('dict',{str(i):i for i in range(6)}); add('dict',{'a':{'b':{}}}); d={i:i for i in range(8)}; del d[0]; add('dict',d)
d={i:1 for i in range(300)}; add('dict-big',d); d={}; d['self']=d; add('dict-rec',d); add('dict-empty-cleared',dict(a=1)); O[-1][1].clear()
class D(dict): pass
a=D(x=1); a.attr=2; add('mydict',a)
class Plain: pass
a=Plain(); add('plain',a); a=Plain(); a.b=1; a.a='x'; add('plain',a); 
b=Plain(); b.z=1; add('plain-dict',b); add('split-dict',b.__dict__)
c=Plain(); c.b=1; c.q=2; dd=c.__dict__; add('split-dict2',dd); add('plain2',c)
class Many: pass
m=Many()
for i in range(40): setattr(m,'a%d'%i,i)
add('many',m); add('many-dict',m.__dict__)
class Slots: __slots__=('a','b','__weakref__')
a=Slots(); a.a=1; add('slots',a)
class Slots2(Slots): __slots__=('c',)
a=Slots2(); a.c='c'; a.b=[1]; add('slots2',a)
class SlotsD(Slots): pass
a=SlotsD(); a.a=1; a.zz=2; add('slotsd',a)
for s in (set(),{1},{1,2,3,4,5},set(range(100)),frozenset(),frozenset([1]),frozenset(range(9))): add('set',s)
class MyS(set): pass
add('myset',MyS([1])); class_FS=type('MyFS',(frozenset,),{}); add('myfs',class_FS([2]))
def func(a,b=1,*c,d=2,**e): 
    "doc"
    x=1
    def inner(): return x
    return inner
add('func',func); add('func',func(1)); add('lambda',lambda: 0)
add('cell',func(1).__closure__[0]); 
add('method',Plain.__init__); 
class M:
    def meth(self): pass
    @classmethod
    def cm(cls): pass
    @staticmethod
    def sm(): pass
    @property
    def p(self): return 1
mm=M(); add('method',mm.meth); add('method',M.cm); add('builtin',len); add('builtin',[].append); add('builtin',''.join); add('builtin',dict.fromkeys); add('builtin', os.getpid)
add('classmethod',M.__dict__['cm']); add('staticmethod',M.__dict__['sm']); add('property',M.p); add('wrapper',object.__init__); add('mdescr',str.join); add('method-wrapper',mm.__str__); add('getset',types.FunctionType.__code__); add('member',types.FunctionType.__globals__)
add('slotdescr',Slots.a)
add('module',os); add('module',sys); add('module',types.ModuleType('nemo')); add('module',__import__('time')); add('main',__import__('__main__'))
for c in (int,object,type,dict,Plain,Slots,Slots2,MyInt,enum.Enum,ValueError,collections.OrderedDict,datetime.datetime,re.compile('').__class__,decimal.Decimal,ET.Element,ctypes.Structure,ctypes.c_int,collections.abc.Mapping): add('class',c)
class Meta(type): 
    extra=1
class WithMeta(metaclass=Meta): __slots__=('q',)
add('class-meta',WithMeta); add('meta',Meta)
class CS(ctypes.Structure): _fields_=[('x',ctypes.c_int),('y',ctypes.c_double)]
add('ctypes-class',CS); add('ctypes',CS(1,2)); add('ctypes',ctypes.c_int(5)); add('ctypes',(ctypes.c_char*100)()); add('ctypes',ctypes.c_char_p(b'x'))
add('code',func.__code__); add('code',compile('a=1\nb=2','f','exec'))
fr=sys._getframe(); add('frame',fr)
def mkframe():
    x=1; y=[2]
    def g(): return x
    return sys._getframe()
add('frame',mkframe())
def gen(n):
    for i in range(n): yield i
g=gen(3); add('gen',g); g=gen(3); next(g); add('gen',g); g=gen(0); list(g); add('gen',g); g=(x for x in [1,2]); add('genexpr',g)
async def coro(): 
    await asyncio.sleep(1)
co=coro(); add('coro',co)
async def agen(): yield 1
add('agen',agen())
add('range',range(5)); add('range',range(1,10,2)); add('range',range(2**70)); add('slice',slice(1,2)); add('slice',slice(None,[1],3))
add('memoryview',memoryview(b'abc')); add('memoryview',memoryview(array.array('i',[1,2,3])))
for e in (ValueError('x'),ValueError(),KeyError('a',2),OSError(2,'no','f'),UnicodeDecodeError('utf8',b'\xff',0,1,'bad'),StopIteration(4),SyntaxError('x',('f',1,2,'t'))): add('exc',e)
class MyExc(Exception): pass
me=MyExc('boom',1); me.code=7; add('exc',me)
try: raise MyExc('tb')
except MyExc as e: add('exc-tb',e); add('tb',e.__traceback__)
for od in (collections.OrderedDict(),collections.OrderedDict(a=1),collections.OrderedDict((i,i) for i in range(20))): add('odict',od)
od=collections.OrderedDict((i,i) for i in range(5)); od.move_to_end(0); add('odict-moved',od)
class MyOD(collections.OrderedDict): pass
a=MyOD(a=1); a.x=1; add('myodict',a)
add('defaultdict',collections.defaultdict(list,{1:[2]})); add('counter',collections.Counter('aabbbc')); add('chainmap',collections.ChainMap({1:2}))
for dq in (collections.deque(),collections.deque([1,2]),collections.deque(range(200)),collections.deque([1],maxlen=5)): add('deque',dq)
class MyDq(collections.deque): pass
add('mydeque',MyDq([1]))
dq=collections.deque(range(100)); dq.rotate(30); add('deque',dq)
Point=collections.namedtuple('Point','x y'); add('namedtuple',Point(1,'b')); add('namedtuple-class',Point)
add('structseq',os.stat('/')); add('structseq',time.localtime(0)); add('structseq',sys.version_info); add('structseq',sys.flags); add('structseq',sys.float_info)
add('array',array.array('i',[1,2,3])); add('array',array.array('d')); add('array',array.array('b',b'zzz'))
bio=io.BytesIO(b'hello'); add('bytesio',bio); bio2=io.BytesIO(); bio2.write(b'x'*1000); add('bytesio',bio2); add('bytesio',io.BytesIO())
add('stringio',io.StringIO('abc')); 
fo=open('/dev/null','rb'); add('bufferedreader',fo); add('fileio',fo.raw); add('text',open('/dev/null')); add('bufferedwriter',open('/dev/null','wb')); 
add('bufferedreader',io.BufferedReader(io.BytesIO(b'ab'),100))
add('struct',struct.Struct('iid3s')); add('struct',struct.Struct('')); 
add('pattern',re.compile('a+(b)')); add('match',re.match('a(b)','ab'))
e=ET.Element('t'); add('element',e); e2=ET.Element('t',{'a':'b'}); [ET.SubElement(e2,'c') for _ in range(3)]; add('element',e2); [ET.SubElement(e2,'c') for _ in range(30)]
@functools.lru_cache(maxsize=10)
def cached(x): return x
cached(1); add('lru',cached); add('partial',functools.partial(int,'1',base=2)); add('partialmethod',functools.partialmethod(len)); add('cmpkey',functools.cmp_to_key(lambda a,b:0)(1))
add('itertools',itertools.count(5)); add('itertools',itertools.chain([1],[2])); add('itertools',itertools.cycle([1])); add('comb',itertools.combinations(range(5),3)); add('cwr',itertools.combinations_with_replacement('ab',4)); add('perm',itertools.permutations(range(4),2)); add('prod',itertools.product([1],[2],[3])); add('tee',itertools.tee([1])[0]); add('groupby',itertools.groupby([1])); add('islice',itertools.islice([1],1)); add('repeat',itertools.repeat(1,3)); add('zip_longest',itertools.zip_longest([1])); add('accumulate',itertools.accumulate([1])); add('starmap',itertools.starmap(len,[]))
for it in (iter([]),iter(()),iter({}),iter({}.values()),iter({}.items()),iter(set()),iter(''),iter('é'),iter(b''),iter(range(3)),iter(range(2**70)),reversed([]),reversed(()),enumerate([]),zip([1]),map(len,[]),filter(None,[]),iter(int,1),iter(collections.deque()),iter(array.array('i')),reversed({}) if sys.version_info>=(3,8) else 0, iter(collections.OrderedDict())): add('iter',it)
D0={1:2}
add('view',D0.keys()); add('view',D0.values()); add('view',D0.items()); add('oview',collections.OrderedDict(a=1).keys()); add('mappingproxy',types.MappingProxyType({1:2})); add('mappingproxy',Plain.__dict__)
add('ns',types.SimpleNamespace(a=1,b='x'))
for d in (decimal.Decimal('1.5'),decimal.Decimal(0),decimal.Decimal('-1E+10'),decimal.Decimal('NaN'),decimal.Decimal('Infinity'),decimal.Decimal('-0.00'),decimal.Decimal('1e-7'),decimal.Decimal('123456789012345678901234567890.123456789'),decimal.Decimal(10)**100/3, decimal.Decimal('1'*200),decimal.Decimal('sNaN12')): add('decimal',d)
for d in (datetime.date(2020,2,29),datetime.datetime(2020,1,1),datetime.datetime(2020,1,1,1,2,3,4),datetime.datetime(2020,1,1,0,0,5,tzinfo=datetime.timezone.utc),datetime.time(1,2),datetime.time(0,0,1,5),datetime.timedelta(1,2,3),datetime.timedelta(),datetime.timedelta(-1,5),datetime.timezone.utc,datetime.timezone(datetime.timedelta(hours=1)),datetime.datetime(2020,1,1,fold=1)): add('datetime',d)
class Color(enum.Enum): RED=1; GREEN='g'
class IE(enum.IntEnum): A=1
class FL(enum.Flag): X=1; Y=2
add('enum',Color.RED); add('enum',Color.GREEN); add('enum',IE.A); add('enum',FL.X); add('enumclass',Color)
if dataclasses:
    @dataclasses.dataclass
    class DC: a:int; b:str='x'
    add('dataclass',DC(1)); add('dataclass-field',DC.__dataclass_fields__['a'])
pw=Plain(); K=[pw]; add('weakref',weakref.ref(pw)); dead=weakref.ref(Plain()); add('weakref-dead',dead); add('weakproxy',weakref.proxy(pw)); add('weakset',weakref.WeakSet([pw])); add('wvd',weakref.WeakValueDictionary({1:pw})); add('weakmethod', weakref.WeakMethod(mm.meth))
add('random',random.Random(1)); add('hash',hashlib.md5(b'')); add('hash',hashlib.sha256()); add('hash',hashlib.blake2b()); add('zlib',zlib.compressobj()); add('lock',threading.Lock()); add('rlock',threading.RLock()); add('event',threading.Event()); add('local',threading.local())
add('itemgetter',operator.itemgetter(1)); add('attrgetter',operator.attrgetter('a')); add('methodcaller',operator.methodcaller('x'))
add('fraction',fractions.Fraction(1,3)); add('uuid',uuid.UUID(int=5)); add('path',pathlib.PurePosixPath('/a/b')); add('path',pathlib.PosixPath('x')); 
pp=pathlib.PosixPath('/x/y'); str(pp); add('path',pp)
add('queue',queue.Queue()); 
if _queue: add('simplequeue',_queue.SimpleQueue())
if sqlite3:
    cx=sqlite3.connect(':memory:'); add('sqlite',cx); cu=cx.cursor(); add('sqlite',cu); cx.row_factory=sqlite3.Row; add('sqlite',cx.execute('select 1 as a').fetchone())
import pickle
pk=io.BytesIO(); pkl=pickle.Pickler(pk); pkl.dump([1,[2]]); add('pickler',pkl); pk.seek(0); upk=pickle.Unpickler(pk); upk.load(); add('unpickler',upk)
if contextvars: 
    cv=contextvars.ContextVar('v',default=3); add('contextvar',cv); add('context',contextvars.copy_context()); add('token',cv.set(1))
if sys.version_info>=(3,9): add('ga',list[int]); add('ga',dict[str,list[int]])
if sys.version_info>=(3,10): add('union',int|str); add('union',int|None)
if sys.version_info>=(3,12):
    exec('type TA[T] = list[T]\nclass G[T]: pass\ndef gf[T](x:T): return x\nadd("typealias",TA); add("generic",G); add("genericfn",gf); add("typevar",G.__type_params__[0])')
if sys.version_info>=(3,15):
    add('frozendict',frozendict()); add('frozendict',frozendict(a=1,b=2))
add('super',super(MyInt,MyInt(1))); add('object',object()); 
loop=asyncio.new_event_loop(); fut=loop.create_future(); add('future',fut); tk=loop.create_task(coro()); add('task',tk)
class WithSizeof:
    def __sizeof__(self): return 12345
add('foreign',WithSizeof())
import typing
add('typing',typing.List[int]); add('typing',typing.Any); add('typing',typing.TypeVar('T'))
if np is not None:
    for x in (np.zeros(10),np.zeros((1000,3)),np.zeros((3,4),dtype='int32')[1:],np.array('abc'),np.array([1,'a'],dtype=object),np.array(['x','yyy']),np.zeros(0),np.float64(1.5),np.int8(3),np.str_('abc'),np.bytes_(b'ab'),np.bool_(True),np.complex128(1),np.zeros(2,dtype=[('a','i4'),('b','f8')]),np.arange(3,dtype='>i4'),np.datetime64('2020-01-01'),np.dtype('f8'),np.ma.array([1])): add('numpy',x)

# What pyretain shows of these is not what repr() says: more, or less.
MORE = set("""plain plain-dict plain2 many slots slots2 slotsd cell ctypes frame gen genexpr coro agen
counter chainmap fileio text pattern match lru partialmethod cmpkey itertools repeat dataclass-field
weakset wvd random hash lock rlock event itemgetter attrgetter methodcaller queue sqlite token
typealias typevar super future task typing dict-big local zlib main foreign tb struct numpy""".split())
OLD = set()
if sys.version_info < (3, 13): OLD |= {"weakproxy"}
if sys.version_info < (3, 12): OLD |= set("odict odict-moved myodict".split())
if sys.version_info < (3, 10): OLD |= set("classmethod staticmethod".split())
if sys.version_info < (3, 7): OLD |= set("exc exc-tb mybytearray mydeque datetime".split())
if sys.version_info >= (3, 15): OLD |= set("method mappingproxy wrapper".split())

def name(t):
    return type.__dict__["__module__"].__get__(t) + "." + type.__dict__["__qualname__"].__get__(t)

def report():
    for label, o in O:
        text = "-"
        if label not in MORE and label not in OLD:
            try: text = repr(o).encode("utf-8").hex() or "-"
            except (UnicodeEncodeError, ValueError): pass
            if len(text) > 6000: text = "-"
        print("object", id(o), sys.getsizeof(o), name(type(o)).replace(" ", "\\x20"), text)
        if type(o) in (Plain, Slots, Slots2, SlotsD, Many):
            for slot in ("a", "b", "c", "q", "z", "zz", "a0", "a29", "a30", "a39"):
                if hasattr(o, slot):
                    print("attribute", id(o), slot, id(getattr(o, slot)))
        if isinstance(o, dict):
            for k in dict.keys(o): print("entry", id(o), id(k), id(dict.__getitem__(o, k)))
    seen = set()
    todo = [object]
    while todo:
        t = todo.pop()
        if id(t) in seen: continue
        seen.add(id(t))
        try: todo += type.__subclasses__(t)
        except TypeError: pass
        if "__sizeof__" in vars(type(t)) and type(t) is not type: continue
        print("class", id(t), sys.getsizeof(t), name(t).replace(" ", "\\x20"))
    print("end")
    sys.stdout.flush()
    sys.stdin.readline()

gc.collect(); gc.disable()
report()
os._exit(0) # leave the unfinished coroutines alone
