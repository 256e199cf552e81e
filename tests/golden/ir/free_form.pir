; a comment
   graph@g(T<=8){scope"a"%70=input{name="x"}:f32[T,4]   ; another
scope "a" %3 = gelu %70{ group=-1 ,form="tanh" }:f32[ T , 2 * 2 ] loc("model.xml":3:7)
%4 = gelu %3 {form = "erf"} : f32[1*T,4+0]
scope "" %0:1 = add %70#0, %4 {} : f32[T,4] %9 = state {name = "w"} : f32[2,4] %5 = linear %0, %9, _, _ : f32[T,2]
return"y"=%5#0,"z"=%3}